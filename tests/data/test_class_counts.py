"""Counts of the classes' pixels in the training masks."""
import json
import os
import pickle

import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.class_counts import ClassCounts, count_classes
from src.data.layouts import Source
from src.model_utils.errors import UNetError
from tests.support.data import write_pairs


@pytest.fixture(params=["folders", "ISBI"])
def reader(request, nuclei, sample):
    return Source(request.param, {"folders": nuclei, "ISBI": sample}[request.param]).open()


def test_counts_are_those_of_the_masks(reader, tmp_path):
    counts = count_classes(reader, [0, 3, 3], 2, tmp_path / "none")
    expected = sum(np.bincount(reader[index][1].ravel(), minlength=2) for index in (0, 3, 3))
    assert counts.pixels == expected.tolist()


def test_several_processes(nuclei, tmp_path, monkeypatch, caplog):
    """Each of five parts of two masks is followed by a line in the log."""
    caplog.set_level("INFO", "unet")
    monkeypatch.setattr("src.data.class_counts.SECONDS_BETWEEN_LINES", 0)
    reader = Source("folders", nuclei).open()
    whole = count_classes(reader, list(range(10)), 2, tmp_path / "none")
    monkeypatch.setattr("src.data.class_counts.MASKS_AT_A_TIME", 2)
    monkeypatch.setattr("src.data.class_counts.available_processors", lambda: 2)
    assert count_classes(reader, list(range(10)), 2, tmp_path / "none") == whole
    assert caplog.messages[-5:] == [f"counted {done} of 10 masks" for done in (2, 4, 6, 8, 10)]


def test_only_the_masks_are_read(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    (tmp_path / "a" / "image.png").write_bytes(b"damaged")
    assert sum(count_classes(Source("folders", tmp_path).open(), [0, 1], 2, tmp_path / "none").pixels) == 2 * 40 * 48
    (tmp_path / "b" / "mask.png").write_bytes(b"damaged")
    with pytest.raises(UNetError, match="b/mask.png: cannot be read"):
        count_classes(Source("folders", tmp_path).open(), [0, 1], 2, tmp_path / "none")


def test_kept_counts_are_those_of_the_same_masks(tmp_path):
    """They are not taken for other samples, other masks or another number of classes, nor from a damaged file."""
    write_pairs(tmp_path, ["a", "b"])
    reader, path = Source("folders", tmp_path).open(), tmp_path / "counts.json"
    counts = count_classes(reader, [0, 1], 2, path)
    ClassCounts(counts.masks, [1, 2]).save(path)
    again = Source("folders", tmp_path).open()
    assert count_classes(again, [0, 1], 2, path).pixels == [1, 2]
    assert count_classes(again, [0], 2, path).pixels != [1, 2]
    assert count_classes(again, [0, 1], 3, path).pixels != [1, 2]
    other = [json.dumps({"masks": counts.masks, "pixels": pixels}) for pixels in (5, "12", [1], [1, "a"], [1, -1])]
    for text in ("", "[]", json.dumps({"masks": counts.masks}), '{"a": 1}', "[" * 100_000, *other):
        path.write_text(text)
        assert count_classes(again, [0, 1], 2, path) == counts
    ClassCounts(counts.masks, [1, 2]).save(path)
    Image.fromarray(np.zeros((40, 48), np.uint8)).save(tmp_path / "a" / "mask.png")
    os.utime(tmp_path / "a" / "mask.png", (1, 1))
    assert count_classes(again, [0, 1], 2, path).pixels != [1, 2]


def test_counts_of_rims_follow_the_numbers_of_the_objects(tmp_path):
    write_pairs(tmp_path, ["a"])
    path = tmp_path / "counts.json"
    tifffile.imwrite(tmp_path / "a" / "labels.tif", np.ones((40, 48), np.uint16))
    counts = count_classes(Source("folders", tmp_path).open(), [0], 2, path)
    ClassCounts(counts.masks, [1, 2]).save(path)
    assert count_classes(Source("folders", tmp_path).open(), [0], 2, path).pixels == [1, 2]
    tifffile.imwrite(tmp_path / "a" / "labels.tif", np.ones((40, 48), np.uint16), description="others")
    assert count_classes(Source("folders", tmp_path).open(), [0], 2, path).pixels == counts.pixels
    reader = Source("folders", tmp_path).open()
    (tmp_path / "a" / "mask.png").unlink()
    with pytest.raises(UNetError, match="a/mask.png: No such file"):
        count_classes(reader, [0], 2, path)


def test_readers_can_be_sent_to_processes(reader):
    again = pickle.loads(pickle.dumps(reader))
    (one, classes), (other, expected) = again[1], reader[1]
    np.testing.assert_array_equal(one.pixels, other.pixels)
    np.testing.assert_array_equal(classes, expected)
