"""What the numbers and colours in masks mean: every kind, and what is said about it."""
import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

from src.data.class_values import IGNORED
from src.data.image_reader import open_pages
from src.data.mask_classes import MaskClasses
from src.data.mask_pixels import MaskOptions, MaskPixels, read_mask
from src.data.object_numbers import as_object_numbers
from tests.support.masks import COLOURS, discs, read, refusal, save

# ---- two classes


@pytest.mark.parametrize("value", [1, 255])
def test_plain_masks(tmp_path, value, caplog):
    """0/1 and 0/255, also together and with masks of one value: no word is needed."""
    mask = discs(numbered=False).astype(np.uint8)
    paths = [save(tmp_path / "a.png", mask * np.uint8(value)), save(tmp_path / "b.png", mask),
             save(tmp_path / "c.png", mask * 0), save(tmp_path / "d.png", mask * 0 + np.uint8(value))]
    classes, masks = read(paths)
    for found, expected in zip(classes, (mask, mask, mask * 0, mask * 0 + 1)):
        np.testing.assert_array_equal(found, expected)
    assert not caplog.text and masks.instances(read_mask(paths[0])) is None and classes[0].dtype == np.uint8


def test_two_other_values(tmp_path, caplog):
    """The larger one is the foreground, also in a mask that has only one of them."""
    caplog.set_level("INFO", "unet")
    mask = discs(numbered=False).astype(np.uint8)
    paths = [save(tmp_path / "a.png", 150 + 50 * mask), save(tmp_path / "b.png", 150 + 0 * mask)]
    classes, _ = read(paths)
    np.testing.assert_array_equal(classes, [mask, 0 * mask])
    assert caplog.messages == ["masks hold 150 and 200: 200 is the foreground; class_values says so without a guess"]
    np.testing.assert_array_equal(read(save(tmp_path / "e.tif", mask.astype(np.int16) * 5 - 5))[0][0], mask)
    assert "mask values 150 (" in refusal([*paths, *paths, save(tmp_path / "c.png", mask)])


@pytest.mark.parametrize("ending, dtype", [("png", "uint8"), ("png", "uint16"), ("tif", "uint8"), ("tif", "uint16"),
                                           ("tif", "int32"), ("tif", "uint32"), ("tif", "float32")])
def test_numbers_of_objects(tmp_path, caplog, ending, dtype):
    caplog.set_level("INFO", "unet")
    paths = [save(tmp_path / f"{seed}.{ending}", discs(seed, count).astype(dtype))
             for seed, count in enumerate((6, 1, 0, 4))]
    classes, masks = read(paths)
    for seed, count in enumerate((6, 1, 0, 4)):
        np.testing.assert_array_equal(classes[seed], discs(seed, count) > 0)
        np.testing.assert_array_equal(masks.instances(read_mask(paths[seed])), discs(seed, count))
    assert len(caplog.messages) == 1 and "numbers of objects, 0 to 6" in caplog.text
    assert "class_values: [0, other]" in caplog.text
    caplog.clear()
    named, masks = read(paths, values="[0, other]")
    np.testing.assert_array_equal(named, classes)
    assert not caplog.text and masks.instances(read_mask(paths[0])).max() == 6


def test_classes_are_not_numbers_of_objects(tmp_path):
    """Many regions of a number, numbers with gaps, or no background."""
    classes = discs(numbered=False) * np.where(np.arange(64) < 32, 1, 2)
    message = refusal(save(tmp_path / "a.png", classes.astype(np.uint8)))
    assert "class_values: [0, 1, 2] with num_classes: 3; or ignore_index: 2; or class_values: [0, other]" in message
    assert "a.png: mask values 0 (" in message and "masks of two classes hold" in message
    with_rims = classes.astype(np.uint8)
    with_rims[:4] = 255
    assert "or class_values: [0, 1, 2] with num_classes: 3 and ignore_index: 255; or class_values: [0, other]" \
        in refusal(save(tmp_path / "d.png", with_rims))
    assert "ignore_index: 128" in refusal(save(tmp_path / "b.png", np.array([0, 128, 255], np.uint8)[
        np.minimum(discs(count=2), 2)]))
    assert "values 1 (" in refusal(save(tmp_path / "c.png", (discs(count=3) + 1).astype(np.uint8)))


def test_gray_edges_and_jpeg_files(tmp_path, caplog):
    mask = discs(numbered=False).astype(np.uint8)
    large = cv2.resize(mask * 255, (256, 256), interpolation=cv2.INTER_LINEAR)
    expected = (large > 127).astype(np.uint8)
    (classes,), _ = read(save(tmp_path / "a.png", large))
    np.testing.assert_array_equal(classes, expected)
    assert len(caplog.messages) == 1 and "% of their pixels are far from both 0 and 255; they are cut at 127.5" \
        in caplog.text
    caplog.clear()
    jpegs = [save(tmp_path / f"{count}.jpg", 255 * discs(0, count, numbered=False).astype(np.uint8), quality=80)
             for count in (6, 0)]
    classes, _ = read(jpegs)
    np.testing.assert_array_equal(classes, [mask, 0 * mask])
    assert len(caplog.messages) == 1
    assert "a JPEG file, whose compression changes class numbers" in refusal(jpegs, num_classes=3)
    assert "a JPEG file" in refusal(jpegs, values="[0, 255]")


def test_lossy_compression_that_adds_a_little_colour(tmp_path, caplog):
    mask = discs(numbered=False).astype(np.uint8)
    path = save(tmp_path / "a.webp", mask * 255)
    with open_pages(path) as pages:
        assert np.ptp(pages[0].shown(), axis=2).any()
    (classes,), _ = read(path)
    np.testing.assert_array_equal(classes, mask)
    assert "come from JPEG files" in caplog.text
    assert "mask colours" in refusal(save(tmp_path / "b.jpg", COLOURS[mask]))


def test_one_mask_with_gray_edges_among_plain_ones(tmp_path, caplog):
    mask = discs(numbered=False).astype(np.uint8) * 255
    paths = [save(tmp_path / f"{number}.png", mask) for number in range(4)]
    soft = save(tmp_path / "soft.png", cv2.GaussianBlur(mask, (0, 0), 0.8))
    classes, masks = read([*paths, soft, soft])
    assert len(caplog.messages) == 1 and (classes[4] != classes[0]).mean() < 0.02
    assert masks.hold == "0 and 1, or 0 and 255, or gray values, cut at 127.5"


def test_gray_edges_that_nobody_looked_at_before(tmp_path):
    """Also in another process, to which the reader is sent."""
    mask = discs(numbered=False).astype(np.uint8) * 255
    paths = [save(tmp_path / "a.png", mask), save(tmp_path / "soft.png", cv2.GaussianBlur(mask, (0, 0), 0.8))]
    masks = MaskClasses(lambda index: read_mask(paths[0]), 1, MaskOptions())
    masks = pickle.loads(pickle.dumps(masks))
    assert (masks.classes(read_mask(paths[1])) != mask // 255).mean() < 0.02


def test_large_numbers_of_objects_become_small_ones():
    numbers = np.array([0, 5, 2**31, 4 * 10**9])[np.minimum(discs(), 3)].astype(np.uint32)
    np.testing.assert_array_equal(as_object_numbers(numbers.astype(np.int64)), np.minimum(discs(), 3))
    np.testing.assert_array_equal(as_object_numbers(np.full((2, 3), 2**40)), 1)


@pytest.mark.parametrize("kind", ["jpg", "soft"])
def test_numbers_among_masks_that_are_cut(tmp_path, kind):
    """They would all be below the cut, so that the whole mask were background."""
    mask = 255 * discs(numbered=False).astype(np.uint8)
    paths = [save(tmp_path / f"{number}.png", mask) for number in range(4)]
    paths.append(save(tmp_path / "a.jpg", mask, quality=80) if kind == "jpg" else
                 save(tmp_path / "soft.png", cv2.GaussianBlur(mask, (0, 0), 0.8)))
    for number, odd in enumerate((discs().astype(np.uint8), mask // 255 * (1 + np.eye(len(mask), dtype=np.uint8)))):
        assert f"odd{number}.png: mask values 0 (" in refusal([*paths, save(tmp_path / f"odd{number}.png", odd)])
    rim = np.zeros((64, 64), np.uint8)
    rim[:, 0], rim[:, 1] = 90, 12      # of an object that is in another tile
    assert not read([*paths, save(tmp_path / "rim.png", rim)])[0][-1].any()
    classes, _ = read([*paths, save(tmp_path / "empty.png", 0 * mask), save(tmp_path / "full.png", 0 * mask + 255)])
    assert not classes[-2].any() and classes[-1].all()


def test_a_photograph_is_no_mask(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    assert "and 248 others found" in refusal(save(tmp_path / "a.png", noise))
    assert "found" in refusal(save(tmp_path / "a.jpg", noise))
    for number in (0.5, np.nan, 1e10):
        assert f"floating-point numbers found, such as {number:g}; a mask holds whole numbers" in refusal(
            save(tmp_path / "a.tif", np.where(np.eye(8), number, 0).astype("f4")))


def test_some_odd_masks_are_errors_of_their_own(tmp_path):
    """Most masks are plain, so the odd one is named, and does not decide how the others are read."""
    mask = discs(numbered=False).astype(np.uint8)
    paths = [save(tmp_path / f"{number}.png", mask) for number in range(5)]
    assert "odd.png: mask values 0 (" in refusal([*paths, save(tmp_path / "odd.png", mask * 9 + mask.T * 50)])


# ---- more classes


def test_class_numbers(tmp_path):
    mask = discs().astype(np.uint8)
    for path in (save(tmp_path / "a.png", mask), save(tmp_path / "a.tif", mask.astype(np.uint16))):
        np.testing.assert_array_equal(read(path, num_classes=7)[0][0], mask)
        message = refusal(path, num_classes=5)
        assert "num_classes is 5, so masks hold class numbers 0 to 4" in message and "num_classes: 7" in message


def test_class_values_of_numbers(tmp_path):
    mask = discs(count=2)
    path = save(tmp_path / "a.png", np.array([10, 29, 76], np.uint8)[mask])
    np.testing.assert_array_equal(read(path, 3, "[10, 29, 76]")[0][0], mask)
    np.testing.assert_array_equal(read(path, 2, "{ground: 10, cell: [29, 76]}")[0][0], mask > 0)
    message = refusal(path, values="[10, 29]")
    assert "mask values 10 (" in message and "class_values has no class for 76" in message


# ---- ignored pixels


@pytest.mark.parametrize("dtype, value", [("uint8", 255), ("int16", -1), ("uint16", 65535)])
def test_ignored_pixels(tmp_path, dtype, value):
    """Beside plain masks, object numbers and class numbers."""
    for mask, options in ((discs(numbered=False), {}), (discs(), {}), (discs(), {"num_classes": 7}),
                          (discs(), {"values": "[0, other]"})):
        rim = np.zeros(mask.shape, bool)
        rim[:5] = True
        path = save(tmp_path / "a.tif", np.where(rim, value, mask).astype(dtype))
        (classes,), masks = read(path, ignore=value, **options)
        expected = mask if "num_classes" in options else mask > 0
        np.testing.assert_array_equal(classes, np.where(rim, IGNORED, expected))
        instances = masks.instances(read_mask(path))
        assert instances is None or not instances[rim].any()


def test_a_mask_of_ignored_pixels_alone(tmp_path):
    path = save(tmp_path / "a.png", np.full((8, 8), 9, np.uint8))
    assert (read(path, ignore=9)[0][0] == IGNORED).all()
    path = save(tmp_path / "a.tif", np.full((8, 8), 9, np.int32))
    assert (read(path, 3, ignore=9)[0][0] == IGNORED).all()


# ---- files


def test_white_is_zero(tmp_path):
    """ImageJ's objects are stored as 255; of other files the options must say it."""
    mask = discs(numbered=False).astype(np.uint8) * 255
    path = save(tmp_path / "a.tif", mask, photometric="miniswhite", metadata=None)
    message = refusal(path)
    assert "white is zero" in message and "mask_invert to True" in message
    np.testing.assert_array_equal(read(path, invert=False)[0][0], mask > 0)
    np.testing.assert_array_equal(read(path, invert=True)[0][0], mask == 0)
    imagej = save(tmp_path / "b.tif", mask, photometric="miniswhite", description="ImageJ=1.53t\n", metadata=None)
    np.testing.assert_array_equal(read(imagej)[0][0], mask > 0)
    bits = save(tmp_path / "c.tif", mask > 0, photometric="miniswhite", metadata=None)
    np.testing.assert_array_equal(read(bits, invert=True)[0][0], mask == 0)


def test_masks_are_upright(tmp_path):
    mask = discs(numbered=False).astype(np.uint8)[:40]
    path = save(tmp_path / "a.tif", mask, extratags=[(274, 3, 1, 6, True)], photometric="minisblack")
    np.testing.assert_array_equal(read(path)[0][0], np.rot90(mask, -1))


def test_pages_and_one_bit(tmp_path):
    stack = np.stack([discs(seed, numbered=False) for seed in range(3)]).astype(np.uint8)
    path = save(tmp_path / "a.tif", stack, photometric="minisblack")
    assert read_mask(path, 2).where == f"{path}[2]"
    np.testing.assert_array_equal(read_mask(path, 2).numbers, stack[2])
    np.testing.assert_array_equal(read(save(tmp_path / "b.png", Image.fromarray(stack[0] > 0)))[0][0], stack[0])


def test_bands_are_no_mask(tmp_path):
    path = save(tmp_path / "a.tif", np.zeros((8, 8, 5), np.uint8), photometric="minisblack", planarconfig="contig")
    assert "5 channels found; a mask has one" in refusal(path)


def test_many_masks_are_not_all_looked_at():
    looked_at = []

    def one(index):
        looked_at.append(index)
        return MaskPixels(str(index), np.zeros((4, 4), np.uint8))

    MaskClasses(one, 1000, MaskOptions())
    assert len(looked_at) == 64 and looked_at[0] == 0 and looked_at[-1] == 999
