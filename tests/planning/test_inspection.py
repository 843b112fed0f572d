"""What is read from images and masks."""
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.layouts import Source
from src.data.mask_pixels import MaskOptions
from src.planning.inspection import find_classes, inspect, spread
from src.planning.masks import Classes

TWO = Classes({"num_classes": 2}, "")


def facts_of(folder, num_classes=2, dataset="folders"):
    return inspect(Source(dataset, folder, masks=MaskOptions(num_classes)), TWO)


def write(folder, name, image, mask):
    (folder / name).mkdir(parents=True)
    for file, pixels in (("image.png", image), ("mask.png", mask)):
        Image.fromarray(np.asarray(pixels, np.uint8)).save(folder / name / file)


def square(size, top, left, side):
    mask = np.zeros(size, np.uint8)
    mask[top:top + side, left:left + side] = 255
    return mask


def test_evenly_spread_numbers():
    assert spread(0, 5) == [] and spread(3, 5) == [0, 1, 2] and spread(9, 3) == [0, 4, 8]


def test_sizes_shares_and_objects(tmp_path):
    for number in range(5):
        write(tmp_path, f"a{number}", np.full((40, 50), 9 + number), square((40, 50), 10, 10, 20))
    found = facts_of(tmp_path)
    assert (found.train, found.valid, found.looked_at, set(found.sizes)) == (4, 1, 5, {(40, 50)})
    assert found.shares == [0.8, 0.2] and not found.has_objects
    # A disc of the area of 400 pixels.
    assert found.objects.count == 5 and found.objects.per_image == 1 and found.objects.touching == 0
    assert found.objects.median == found.objects.typical == pytest.approx(22.57, abs=0.01)


def test_the_gap_between_objects(tmp_path):
    mask = np.full((64, 64), 255)
    mask[:, 30:34] = 0      # four pixels, at most two from the foreground
    write(tmp_path, "a", np.zeros((64, 64)), mask)
    assert facts_of(tmp_path).gap == 4


def test_objects_by_numbers_that_touch(tmp_path):
    mask = np.zeros((20, 30), np.uint8)
    mask[2:8, 2:8], mask[2:8, 8:14], mask[12:18, 20:26] = 1, 2, 3
    for name in "ab":
        write(tmp_path, name, np.zeros((20, 30)), mask)
    found = facts_of(tmp_path)
    assert found.has_objects and found.objects.count == 6 and found.objects.touching == pytest.approx(2 / 3)


@pytest.mark.parametrize("kinds, channels", [
    (["gray"], 1), (["colour"], 3), (["gray", "colour"], 3), (["grays in colour"], 1),
    (["gray", "grays in colour"], 1)])
def test_channels(tmp_path, kinds, channels):
    gray = np.arange(400).reshape(20, 20) % 250
    images = {"gray": gray, "grays in colour": np.stack([gray] * 3, -1),
              "colour": np.stack([gray, gray // 2, gray], -1)}
    for number, kind in enumerate(kinds):
        write(tmp_path, f"a{number}", images[kind], square((20, 20), 5, 5, 9))
    assert facts_of(tmp_path).channels == channels


@pytest.mark.parametrize("bands, expected", [([4, 4], 4), ([2, 2], 2), ([4, 5], 0)])
def test_bands(tmp_path, bands, expected):
    for number, count in enumerate(bands):
        (tmp_path / "image").mkdir(exist_ok=True)
        (tmp_path / "mask").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "image" / f"{number}.tif", np.zeros((20, 20, count), np.uint16),
                         photometric="minisblack", planarconfig="contig")
        Image.fromarray(square((20, 20), 5, 5, 9)).save(tmp_path / "mask" / f"{number}.png")
    found = facts_of(tmp_path, dataset="image_mask")
    assert (found.channels, found.deep) == (expected, 2)


def test_contrast(tmp_path):
    ramp = np.tile(np.arange(101), (101, 1))
    write(tmp_path, "a", ramp, square((101, 101), 5, 5, 9))
    write(tmp_path, "b", 2 * ramp, square((101, 101), 5, 5, 9))
    assert facts_of(tmp_path).contrast == pytest.approx(2)


def test_classes_of_files(tmp_path):
    for name in "abc":
        write(tmp_path, name, np.zeros((20, 20)), np.kron(np.arange(400).reshape(20, 20) % 3, 1))
    assert find_classes(Source("folders", tmp_path)).options == {"num_classes": 3}
