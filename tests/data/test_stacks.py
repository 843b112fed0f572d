"""TIFF stacks: reading, folds, and what is refused."""
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.class_values import IGNORED, parse
from src.data.layouts import Source
from src.data.mask_pixels import MaskOptions
from src.data.stacks import StackReader, fold_indices, read_stack
from src.data.tiff import write_stack
from src.model_utils.errors import UNetError


def stacks(folder, images=None, labels=None):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 20, 24), dtype=np.uint8) if images is None else images
    labels = (rng.integers(0, 2, (6, 20, 24)) * 255).astype(np.uint8) if labels is None else labels
    write_stack(folder / "train-volume.tif", images)
    write_stack(folder / "train-labels.tif", labels)
    return images, labels


def test_reads_what_was_written(tmp_path):
    images, labels = stacks(tmp_path)
    reader = StackReader(tmp_path)
    assert len(reader) == 6
    np.testing.assert_array_equal(read_stack(tmp_path / "train-volume.tif"), images)
    np.testing.assert_array_equal(reader[3][0].pixels[..., 0], images[3])
    np.testing.assert_array_equal(reader[3][1], labels[3] // 255)


def test_a_large_stack_does_not_stay_in_memory(tmp_path, monkeypatch):
    images, _ = stacks(tmp_path)
    small = StackReader(tmp_path)
    monkeypatch.setattr("src.data.stacks.MOST_KEPT", images.size - 1)
    large = StackReader(tmp_path)
    assert len(small.kept) == len(images) and not large.kept
    for index in range(len(images)):
        assert np.array_equal(small.image(index).pixels, large.image(index).pixels)
        assert small.image(index).limits == large.image(index).limits


def test_labels_of_zero_and_one(tmp_path):
    _, labels = stacks(tmp_path)
    stacks(tmp_path, labels=labels // 255)
    np.testing.assert_array_equal(StackReader(tmp_path)[0][1], labels[0] // 255)


def test_published_fold():
    train, valid = fold_indices(30, 1)
    assert valid.tolist() == [6, 4, 18, 19, 9, 7]
    assert sorted([*train, *valid]) == list(range(30)) and len(train) == 24


@pytest.mark.parametrize("length", [5, 10, 12, 30])
def test_folds_are_disjoint_and_sorted_out(length):
    for fold in range(1, 6):
        train, valid = fold_indices(length, fold)
        assert len(valid) >= 1 and sorted([*train, *valid]) == list(range(length))


def test_five_folds_validate_every_slice_once():
    assert sorted(np.concatenate([fold_indices(30, fold)[1] for fold in range(1, 6)])) == list(range(30))


def test_folds_leave_the_global_random_state_alone():
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    fold_indices(30, 2)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_real_stacks(isbi):
    reader = StackReader(isbi)
    assert reader.shape == (30, 512, 512)
    assert 0.7 < reader.classes.mean() < 0.85     # cells are most of the picture


def refused(folder):
    with pytest.raises(UNetError) as caught:
        StackReader(folder)
    return str(caught.value)


def test_no_folder(tmp_path):
    assert str(tmp_path / "none") in refused(tmp_path / "none")


@pytest.mark.parametrize("name", ["train-volume.tif", "train-labels.tif"])
def test_missing_stack(tmp_path, name):
    stacks(tmp_path)
    (tmp_path / name).unlink()
    assert name in refused(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_truncated_stack(tmp_path, share):
    stacks(tmp_path)
    path = tmp_path / "train-volume.tif"
    data = path.read_bytes()
    path.write_bytes(data[:int(len(data) * share)])
    message = refused(tmp_path)
    assert "train-volume.tif" in message and "\n" not in message


def test_cut_at_every_byte_of_its_end(tmp_path):
    """The last bytes may be padding: what is read then is right, or nothing is."""
    images, _ = stacks(tmp_path)
    path = tmp_path / "train-volume.tif"
    data = path.read_bytes()
    for cut in range(1, 400):
        path.write_bytes(data[:-cut])
        try:
            np.testing.assert_array_equal(read_stack(path), images)
        except UNetError as error:
            assert "train-volume.tif" in str(error)


def test_not_an_image(tmp_path):
    stacks(tmp_path)
    (tmp_path / "train-volume.tif").write_text("not an image")
    assert "train-volume.tif: cannot be read as an image" in refused(tmp_path)


@pytest.mark.parametrize("page, kind", [
    (np.full((20, 24), 900, np.uint16), "gray, 16 bits"),
    (np.full((20, 24), 0.5, np.float32), "gray, 32 bits, floating"),
    (np.full((20, 24, 3), 9, np.uint8), "RGB"), (np.ones((20, 24), bool), "gray, 1 bit")])
def test_images_of_other_kinds_are_read(tmp_path, page, kind):
    stacks(tmp_path)
    pages = [Image.fromarray(page)] * 6
    pages[0].save(tmp_path / "train-volume.tif", save_all=True, append_images=pages[1:])
    reader = StackReader(tmp_path)
    assert reader.kind(0).startswith(kind) and (reader[5][0].pixels == page.flat[0]).all()


def test_pages_of_different_kinds(tmp_path):
    stacks(tmp_path)
    with tifffile.TiffWriter(tmp_path / "train-volume.tif") as file:
        for dtype in (np.uint8, np.uint16):
            file.write(np.zeros((20, 24), dtype), photometric="minisblack", metadata=None)
    assert "page 2 is of kind gray, 16 bits, page 1 is of kind gray; all pages must" in refused(tmp_path)


def test_slices_after_one_header(tmp_path):
    images, labels = stacks(tmp_path)
    for name, stack in (("train-volume.tif", images), ("train-labels.tif", labels)):
        tifffile.imwrite(tmp_path / name, stack, photometric="minisblack", truncate=True)
    reader = StackReader(tmp_path)
    np.testing.assert_array_equal([reader[index][0].pixels[..., 0] for index in range(6)], images)
    np.testing.assert_array_equal([reader[index][1] * 255 for index in range(6)], labels)


def test_pages_of_different_size(tmp_path):
    stacks(tmp_path)
    pages = [Image.new("L", (24, 20)), Image.new("L", (20, 24))]
    pages[0].save(tmp_path / "train-volume.tif", save_all=True, append_images=pages[1:])
    message = refused(tmp_path)
    assert "page 2 is 20x24" in message and "page 1 is 24x20" in message


@pytest.mark.parametrize("labels, words", [
    (np.zeros((5, 20, 24), np.uint8), "5 pages of 24x20"), (np.zeros((6, 24, 20), np.uint8), "6 pages of 20x24")])
def test_stacks_that_do_not_agree(tmp_path, labels, words):
    stacks(tmp_path, labels=labels)
    message = refused(tmp_path)
    assert words in message and "6 pages of 24x20" in message


def test_labels_are_read_as_masks_are(tmp_path):
    """By their values, or as the options say."""
    numbers = np.random.default_rng(0).integers(0, 3, (6, 20, 24))
    stacks(tmp_path, labels=np.array([0, 7, 200], np.uint8)[numbers])
    assert "train-labels.tif[0]: mask values 0 (" in refused(tmp_path)
    reader = StackReader(tmp_path, masks=MaskOptions(2, parse([0, 200], 2), ignore=7))
    np.testing.assert_array_equal(reader.classes, np.array([0, IGNORED, 1])[numbers])
    assert reader.masks_hold() == "class_values" and reader.instances(0) is None


def test_too_few_slices(tmp_path):
    with pytest.raises(UNetError, match="train-volume.tif: 4 slices cannot be split into 5 folds"):
        fold_indices(4, 1)
    images, labels = stacks(tmp_path)
    stacks(tmp_path, images[:4], labels[:4])
    source = Source("ISBI", tmp_path)
    with pytest.raises(UNetError, match=f"{tmp_path}: 4 slices cannot be split into 5 folds"):
        source.divide(source.open())


def test_a_folder_with_spaces_and_other_letters(tmp_path):
    folder = tmp_path / "mes données 数据"
    folder.mkdir()
    stacks(folder)
    assert len(StackReader(folder)) == 6
    shutil.rmtree(folder)
