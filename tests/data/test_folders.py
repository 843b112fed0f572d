"""Folder data sets: listing, classes, and what is refused."""
import cv2
import numpy as np
import pytest
from PIL import Image

from src.data.image_mask_pairs import Pair, PairReader
from src.data.layouts import Source
from src.model_utils.errors import UNetError
from tests.support.data import write_pairs


def divided(data, split, dataset="folders"):
    """Names of the pairs that train, and of those that validate."""
    source = Source(dataset, data, split=split)
    pairs = source.open()
    return tuple([pairs.name(index) for index in part] for part in source.divide(pairs))


def reader(folder, num_channels, num_classes):
    return PairReader([Pair(folder.name, folder / "image.png", folder / "mask.png")], num_channels, num_classes)


def test_split_by_fraction_over_sorted_names(tmp_path):
    write_pairs(tmp_path, ["b", "a", "d", "c", "e"])
    (tmp_path / ".ipynb_checkpoints").mkdir()
    assert divided(tmp_path, 0.8) == (["a", "b", "c", "d"], ["e"])


def test_split_by_folders(tmp_path):
    write_pairs(tmp_path / "train", ["x", "y"])
    write_pairs(tmp_path / "val", ["z"])
    assert divided(tmp_path, 1.0) == (["x", "y"], ["z"])


def test_images_are_bgr(tmp_path):
    write_pairs(tmp_path, ["a"])
    pixels = np.zeros((40, 48, 3), np.uint8)
    pixels[..., 0] = 200      # red, as Pillow writes it
    Image.fromarray(pixels).save(tmp_path / "a" / "image.png")
    image, mask = reader(tmp_path / "a", 3, 2)[0]
    assert image.shape == (40, 48, 3) and image[0, 0].tolist() == [0, 0, 200]
    assert mask.shape == (40, 48) and mask.dtype == np.uint8
    assert reader(tmp_path / "a", 1, 2)[0][0].shape == (40, 48, 1)


@pytest.mark.parametrize("values, expected", [
    ([0, 255], [0, 1]), ([0, 1], [0, 1]), ([0, 100, 127, 128, 255], [0, 0, 0, 1, 1]), ([0, 0], [0, 0])])
def test_two_classes_are_cut_at_half_of_the_maximum(tmp_path, values, expected):
    write_pairs(tmp_path, ["a"], size=(40, 48))
    mask = np.zeros((40, 48), np.uint8)
    mask[:, :len(values)] = values
    Image.fromarray(mask).save(tmp_path / "a" / "mask.png")
    assert reader(tmp_path / "a", 3, 2)[0][1][0, :len(values)].tolist() == expected


def test_many_classes_hold_class_numbers(tmp_path):
    write_pairs(tmp_path, ["a"], classes=5)
    _, mask = reader(tmp_path / "a", 3, 5)[0]
    np.testing.assert_array_equal(mask, cv2.imread(str(tmp_path / "a" / "mask.png"), cv2.IMREAD_GRAYSCALE))


def test_values_outside_the_classes(tmp_path):
    write_pairs(tmp_path, ["a"], classes=5)
    with pytest.raises(UNetError, match=r"a/mask.png: mask values \[.*4\] found, but num_classes is 3"):
        _ = reader(tmp_path / "a", 3, 3)[0]


def test_images_of_floats_are_refused(tmp_path):
    """Pillow would cut 0 to 1 to whole numbers."""
    write_pairs(tmp_path, ["a"])
    Image.fromarray(np.full((40, 48), 0.5, np.float32)).save(tmp_path / "float.tif")
    pair = Pair("a", tmp_path / "float.tif", tmp_path / "a" / "mask.png")
    with pytest.raises(UNetError, match=r"float.tif: pixels of kind 'F' \(floats\) found; expected 8 or 16 bits"):
        _ = PairReader([pair], 1, 2)[0]


@pytest.mark.parametrize("file", ["image.png", "mask.png"])
def test_missing_file(tmp_path, file):
    write_pairs(tmp_path, ["a", "b"])
    (tmp_path / "b" / file).unlink()
    with pytest.raises(UNetError, match=f"b: {file} is missing"):
        divided(tmp_path, 0.5)


def test_sizes_that_differ(tmp_path):
    write_pairs(tmp_path, ["a"])
    Image.new("L", (20, 30)).save(tmp_path / "a" / "mask.png")
    with pytest.raises(UNetError, match="a/image.png is 48x40, its mask.png is 20x30"):
        _ = reader(tmp_path / "a", 3, 2)[0]


def test_images_are_read_as_opencv_does(tmp_path):
    write_pairs(tmp_path, ["a"])
    rng = np.random.default_rng(0)
    for pixels in (rng.integers(0, 256, (40, 48, 3), dtype=np.uint8), rng.integers(0, 256, (40, 48, 4), dtype=np.uint8),
                   rng.integers(0, 256, (40, 48), dtype=np.uint8), rng.integers(0, 65536, (40, 48), dtype=np.uint16)):
        cv2.imwrite(str(tmp_path / "a" / "image.png"), pixels)
        image, _ = reader(tmp_path / "a", 3, 2)[0]
        np.testing.assert_array_equal(image, cv2.imread(str(tmp_path / "a" / "image.png"), cv2.IMREAD_COLOR))


def test_palette_masks_hold_class_numbers(tmp_path):
    write_pairs(tmp_path, ["a"], classes=4)
    path = tmp_path / "a" / "mask.png"
    numbers = np.asarray(Image.open(path))
    image = Image.fromarray(numbers)
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    assert image.mode == "P"
    image.save(path)
    np.testing.assert_array_equal(reader(tmp_path / "a", 3, 4)[0][1], numbers)


def test_masks_of_16_bits(tmp_path):
    write_pairs(tmp_path, ["a"])
    cv2.imwrite(str(tmp_path / "a" / "mask.png"), np.ones((40, 48), np.uint16))
    with pytest.raises(UNetError, match="a/mask.png: pixels of kind 'I;16'"):
        _ = reader(tmp_path / "a", 3, 4)[0]


def test_every_truncation_is_found(tmp_path):
    write_pairs(tmp_path, ["a"])
    path = tmp_path / "a" / "image.png"
    whole, data = reader(tmp_path / "a", 3, 2)[0][0], path.read_bytes()
    for length in range(0, len(data), 41):
        path.write_bytes(data[:length])
        try:
            np.testing.assert_array_equal(reader(tmp_path / "a", 3, 2)[0][0], whole)
        except UNetError as error:
            assert "a/image.png" in str(error)


@pytest.mark.parametrize("file", ["image.png", "mask.png"])
@pytest.mark.parametrize("data", [b"", b"not an image"])
def test_damaged_file(tmp_path, file, data):
    write_pairs(tmp_path, ["a"])
    (tmp_path / "a" / file).write_bytes(data)
    with pytest.raises(UNetError, match=f"a/{file}: cannot be read"):
        _ = reader(tmp_path / "a", 3, 2)[0]


def test_no_folder_and_empty_folder(tmp_path):
    with pytest.raises(UNetError, match="no such data folder: .*none"):
        divided(tmp_path / "none", 0.8)
    with pytest.raises(UNetError, match="no image folders"):
        divided(tmp_path, 0.8)
    with pytest.raises(UNetError, match="train"):
        divided(tmp_path, 1.0)


# ---- images and masks side by side


@pytest.fixture
def slices(tmp_path):
    """A folder with twelve slices of either layout: image N is gray N, its mask has N white pixels."""
    for part in ("train/image", "train/mask", "train/label"):
        (tmp_path / part).mkdir(parents=True)
    for number in range(12):
        Image.fromarray(np.full((6, 5), number, np.uint8)).save(tmp_path / "train" / "image" / f"{number}.png")
        mask = np.zeros(30, np.uint8)
        mask[:number] = 255
        for folder in ("mask", "label"):
            Image.fromarray(mask.reshape(6, 5)).save(tmp_path / "train" / folder / f"{number}.png")
    return tmp_path


def test_membrane(slices):
    """By number, not by letter; ``split`` cuts off the end; image and mask belong together."""
    assert divided(slices, 0.75, "membrane") == ([str(number) for number in range(9)], ["9", "10", "11"])
    pairs = Source("membrane", slices, num_channels=3).open()
    assert [(int(image[0, 0, 0]), int(mask.sum())) for image, mask in pairs] == [(k, k) for k in range(12)]
    assert pairs[0][0].shape == (6, 5, 3) and pairs.size(0) == (6, 5)


def test_image_mask(slices):
    with pytest.raises(UNetError, match="no such data folder: .*val/image"):
        divided(slices, 0.8, "image_mask")
    (slices / "val").symlink_to(slices / "train")
    train, valid = divided(slices, 0.8, "image_mask")
    assert train == valid == [str(number) for number in range(12)]


@pytest.mark.parametrize("folder, other", [("image", "label"), ("label", "image")])
def test_missing_partners(slices, folder, other):
    for name in ("3.png", "10.png"):
        (slices / "train" / folder / name).unlink()
    with pytest.raises(UNetError, match=f"train/{other}/3.png: no file of that name in .*/train/{folder}; .*2 without "
                                        "partner: 3.png, 10.png"):
        divided(slices, 0.8, "membrane")


def test_masks_saved_with_loss(slices):
    path = slices / "train" / "label" / "3.png"
    Image.open(path).save(path.with_suffix(".jpg"))
    with pytest.raises(UNetError, match="3.png: 3.jpg has the same name"):
        divided(slices, 0.8, "membrane")
    path.unlink()
    pairs = Source("membrane", slices).open()
    with pytest.raises(UNetError, match="3.jpg: a JPEG file, whose compression changes class numbers"):
        _ = pairs[3]
