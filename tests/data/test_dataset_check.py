"""What the check of a data set finds."""
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from src.data.data_options import class_names
from src.data.dataset_check import _spread, find_faults, raise_faults, table
from src.data.samples import create_samples
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from tests.support.data import write_pairs

NAMES = [f"{number:02d}" for number in range(10)]


@pytest.fixture
def check(tmp_path, caplog):
    """Checks ``data`` and gives what is in the JSON file and in the log."""
    def check(data, *argv, quick=False):
        caplog.clear()
        config = parse_options(["--dataset=folders", "--num_channels=3", "--image_size=[32,32]", f"--data_path={data}",
                                *argv], "")
        findings = find_faults(*create_samples(config), class_names(config), quick)
        findings.save(tmp_path / "dataset.json")
        raise_faults(findings.faults, "dataset.json")
        return json.loads((tmp_path / "dataset.json").read_text()), caplog.text

    caplog.set_level("INFO", "unet")
    return check


@pytest.fixture
def data(tmp_path):
    """Eight training and two validation pictures of 48x40; each mask is a square of 16x16."""
    return write_pairs(tmp_path / "data", NAMES)


def test_counts(check, data):
    found, log = check(data)
    train = found["training"]
    assert (train["samples"], train["seen"], train["sizes"], train["kinds"]) == (8, 8, {"48x40": 8}, {"RGB": 8})
    assert train["pixels_per_class"] == [8 * (1920 - 256), 8 * 256]
    assert train["foreground_fraction"] == pytest.approx(256 / 1920)
    assert found["validation"]["samples"] == 2 and found["warnings"] == found["faults"] == []
    assert found["same_images_in_both"] == []
    assert "foreground          13.3%" in log and "WARNING" not in log


def test_what_should_be_known(check, data):
    """Warnings: masks of one class, the same picture twice and in both parts."""
    def mask(name, values):
        Image.fromarray(values).save(data / name / "mask.png")

    empty, full = np.zeros((40, 48), np.uint8), np.full((40, 48), 255, np.uint8)
    mask("00", empty)
    mask("01", full)
    for name in ("04", "09"):
        shutil.copy(data / "03" / "image.png", data / name / "image.png")
    found, log = check(data)
    train = found["training"]
    assert train["masks_without_foreground"] == ["00"] and train["masks_of_one_class"] == ["01"]
    assert train["same_images"] == [["03", "04"]] and train["masks_hold"] == "0 and 1, or 0 and 255"
    assert found["same_images_in_both"] == [["03", "04", "09"]]
    assert "WARNING: training: 1 of 8 masks have only background: 00" in log
    assert "WARNING: 1 images both train and validate, which makes the score too good: 03 = 04 = 09" in log
    assert len(found["warnings"]) == 4 and found["faults"] == []


def test_what_spoils_a_training(check, data):
    """Errors: all are found in one go; a single one is the error itself."""
    (data / "05" / "image.png").write_bytes(b"none")
    with pytest.raises(UNetError, match="05/image.png: cannot be read as an image"):
        check(data)
    Image.new("L", (9, 9)).save(data / "06" / "mask.png")
    Image.new("L", (48, 40), 77).save(data / "09" / "mask.png")
    with pytest.raises(UNetError, match=r"05/image.png: .* \(3 faults in all, listed above\)"):
        check(data)


def test_faults_are_saved_and_logged(check, data, tmp_path, caplog):
    for name in ("01", "08"):
        (data / name / "mask.png").write_bytes(b"none")
    with pytest.raises(UNetError):
        check(data)
    found = json.loads((tmp_path / "dataset.json").read_text())
    assert len(found["faults"]) == 2 == caplog.text.count("ERROR: ")
    assert found["training"]["seen"] == 8 and found["training"]["pixels_per_class"][1] == 7 * 256
    assert "08/mask.png" in found["validation"]["faults"][0]


def test_ten_faults_are_logged_and_the_others_counted(check, data, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("src.data.dataset_check.MOST_FAULTS", 3)
    for name in NAMES[:5]:
        (data / name / "image.png").write_bytes(b"none")
    with pytest.raises(UNetError, match="5 faults in all"):
        check(data)
    assert caplog.text.count("cannot be read as an image") == 3 and "ERROR: and 2 more; " in caplog.text
    assert len(json.loads((tmp_path / "dataset.json").read_text())["faults"]) == 5


def test_nothing_to_learn(check, data):
    for name in NAMES:
        Image.new("L", (48, 40)).save(data / name / "mask.png")
    with pytest.raises(UNetError, match="all 8 training masks hold only class 0"):
        check(data)


def test_masks_of_ignored_pixels_only(check, data):
    Image.fromarray(np.full((40, 48), 7, np.uint8)).save(data / NAMES[0] / "mask.png")
    found, log = check(data, "--ignore_index=7")
    assert f"training: 1 of 8 masks have only ignored pixels: {NAMES[0]}" in log
    assert NAMES[0] not in found["training"]["masks_without_foreground"]
    for name in NAMES:
        Image.fromarray(np.full((40, 48), 7, np.uint8)).save(data / name / "mask.png")
    with pytest.raises(UNetError, match="all 8 training masks hold only ignored pixels"):
        check(data, "--ignore_index=7")


def test_images_of_other_sizes_are_not_the_same(check, data):
    for name, size in zip(NAMES[:2], ((48, 40), (40, 48))):
        for file in ("image.png", "mask.png"):
            Image.new("L", size, 255 * (file == "mask.png")).save(data / name / file)
    found, log = check(data)
    assert "occur more than once" not in log


def test_many_classes(check, tmp_path):
    data = write_pairs(tmp_path / "many", NAMES, classes=12)
    found, log = check(data, "--num_classes=13")
    assert len(found["training"]["pixels_per_class"]) == 13 and "classes with pixels  12 of 13" in log
    assert "WARNING: training: no pixel of 1 classes: class 12" in log
    with pytest.raises(UNetError, match="mask values .*11 .*found; num_classes is 11, .*faults in all"):
        check(data, "--num_classes=11")


def test_names_and_ignored_pixels(check, tmp_path):
    """Names go into the table; ignored pixels are in no share of a class."""
    data = write_pairs(tmp_path / "three", NAMES, classes=3)
    mask = np.zeros((40, 48), np.uint8)
    mask[:10], mask[10:20] = 7, 2
    for name in NAMES:
        Image.fromarray(mask).save(data / name / "mask.png")
    found, log = check(data, "--num_classes=3", "--ignore_index=7", "--class_values={ground: 0, wall: 1, hole: [2, 3]}")
    train = found["training"]
    assert train["pixels_per_class"] == [8 * 960, 0, 8 * 480] and train["ignored_pixels"] == 8 * 480
    assert train["classes"] == ["ground", "wall", "hole"] and train["foreground_fraction"] == pytest.approx(1 / 3)
    assert [line.split() for line in log.splitlines() if line.split()[-3:-2] in (["hole"], ["ignored"])]
    assert "WARNING: training: no pixel of 1 classes: wall" in log


def test_classes_that_a_short_look_has_not_met(check, tmp_path, monkeypatch):
    """are not said to be absent."""
    monkeypatch.setattr("src.data.dataset_check.QUICK_SECONDS", 0)
    found, log = check(write_pairs(tmp_path / "many", NAMES, classes=12), "--num_classes=13", quick=True)
    assert found["training"]["seen"] == 1 and "no pixel of" not in log


def test_quick(check, data, monkeypatch):
    """As many as the time allows, spread over all."""
    monkeypatch.setattr("src.data.dataset_check.QUICK_SECONDS", 0)
    found, _ = check(data, quick=True)
    assert found["training"]["seen"] == 1 == found["validation"]["seen"] and found["training"]["samples"] == 8
    found, _ = check(data)
    assert found["training"]["seen"] == 8


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 100])
def test_spread(count):
    order = list(_spread(range(count)))
    assert sorted(order) == list(range(count))
    first = sorted(order[:13])
    assert count < 100 or max(b - a for a, b in zip(first, first[1:])) <= 16


def test_stacks(sample, tmp_path):
    train, valid = create_samples(parse_options([f"--data_path={sample}", "--border_weight=True"], ""))
    find_faults(train, valid, ["membrane", "cell"]).save(tmp_path / "dataset.json")
    found = json.loads((tmp_path / "dataset.json").read_text())
    assert found["training"]["kinds"] == {"gray": 8} and 0.2 < found["training"]["foreground_fraction"] < 0.95


def test_table_columns_are_straight(check, data):
    from src.data.dataset_check import inspect

    train, valid = create_samples(parse_options(["--dataset=folders", "--num_channels=3", f"--data_path={data}"], ""))
    lines = table({"training": inspect(train, ["a", "b"], None), "validation": inspect(valid, ["a", "b"], None)}, [])
    assert lines[0].index("training") == lines[1].index("8") and lines[0].index("validation") == lines[1].index("2")
