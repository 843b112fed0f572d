"""Parts of image files and of masks are those of the whole, in every format."""
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from src.data.channels import Channels
from src.data.class_values import parse
from src.data.image_mask_pairs import Pair, PairReader
from src.data.image_reader import open_pages
from src.data.mask_pixels import MaskOptions
from src.data.normalization import Normalization
from src.data.window_reader import WindowReader
from src.model_utils.errors import UNetError

SIZE = 45, 52
WINDOWS = [(slice(0, 45), slice(0, 52)), (slice(3, 17), slice(30, 52)), (slice(44, 45), slice(0, 1))]


def write(path, pixels, **options):
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, **options)
    else:
        Image.fromarray(pixels).save(path, **options)
    return path


def colours(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"tile": (16, 32)}, {"compression": "zlib", "rowsperstrip": 7},
                                     {"planarconfig": "separate", "tile": (32, 16)}])
def test_windows_of_tiff_pages(tmp_path, options, orientation):
    pixels = colours()
    planes = np.moveaxis(pixels, 2, 0) if "planarconfig" in options else pixels
    path = write(tmp_path / "a.tif", planes, photometric="rgb", extratags=[(274, "H", 1, orientation)], **options)
    with open_pages(path) as (page,):
        whole = page.stored()
        assert page.in_windows
        for top, bottom, left, right in ((2, 9, 5, 40), (0, 45, 0, 45), (44, 45, 3, 4)):
            np.testing.assert_array_equal(page.stored(top, bottom, left, right), whole[top:bottom, left:right])


@pytest.mark.parametrize("name, options", [("a.png", {}), ("a.jpg", {"quality": 90}), ("a.bmp", {})])
def test_windows_of_other_pages(tmp_path, name, options):
    with open_pages(write(tmp_path / name, colours(), **options)) as (page,):
        assert not page.in_windows and len(list(page.strips())) == 1      # decoded as a whole in any case
        np.testing.assert_array_equal(page.stored(2, 9, 5, 40), page.stored()[2:9, 5:40])


@given(st.integers(1, 400), st.integers(1, 64))
def test_strips_are_the_page(tmp_path_factory, height, rows):
    path = write(tmp_path_factory.mktemp("strips") / "a.tif", np.zeros((height, 3), np.uint8), rowsperstrip=rows,
                 compression="zlib")
    with pytest.MonkeyPatch.context() as patched, open_pages(path) as (page,):
        patched.setattr("src.data.page.STRIP_BYTES", 100)
        strips = list(page.strips())
    assert np.concatenate([np.arange(rows.start, rows.stop) for rows, _ in strips]).tolist() == list(range(height))
    assert all(columns == slice(0, 3) for _, columns in strips)
    assert all(part.start % min(rows, height) == 0 for part, _ in strips)      # no strip of the file is decoded twice


# ---- masks


def objects():
    numbers = np.zeros(SIZE, np.uint16)
    numbers[2:10, 3:20], numbers[12:40, 30:50], numbers[30:33, 4:9] = 1, 2, 3
    return numbers


def palette_mask(path, colour):
    image = Image.fromarray((objects() > 0).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, *colour])
    image.save(path)
    return path


def gray_edges():
    import cv2

    return cv2.GaussianBlur(np.where(objects() > 0, 255, 0).astype(np.uint8), (3, 3), 0)


MASKS = {
    "0 and 255": lambda path: write(path / "m.tif", np.where(objects() > 0, 255, 0).astype(np.uint8), tile=(16, 16)),
    "numbers of objects": lambda path: write(path / "m.tif", objects()),
    "gray edges": lambda path: write(path / "m.tif", gray_edges(), compression="zlib", rowsperstrip=5),
    "PNG": lambda path: write(path / "m.png", (objects() > 0).astype(np.uint8)),
    "colours": lambda path: write(path / "m.tif", np.stack([np.where(objects() > 1, 200, 0).astype(np.uint8)] * 2
                                                           + [np.zeros(SIZE, np.uint8)], axis=2), photometric="rgb"),
    "white is zero": lambda path: write(path / "m.tif", (objects() > 0).astype(np.uint8) * 255,
                                        photometric="miniswhite"),
    "palette": lambda path: palette_mask(path / "m.png", (0, 200, 0)),
}
OPTIONS = {"colours": MaskOptions(values=parse(["#000000", "#c8c800"], 2)), "white is zero": MaskOptions(invert=True),
           "0 and 255": MaskOptions(ignore=0)}


def reader(tmp_path, mask, image=None, options=MaskOptions()):      # noqa: B008 (it is frozen)
    image = image or write(tmp_path / "image.png", colours())
    return PairReader([Pair("a", image, mask)], Channels(3), options)


@pytest.mark.parametrize("kind", MASKS)
def test_classes_of_a_part_are_those_of_the_whole(tmp_path, kind):
    """Also where the part does not show how the mask must be read: one object of many, no colour, no gray edge."""
    source = reader(tmp_path, MASKS[kind](tmp_path), options=OPTIONS.get(kind, MaskOptions()))
    whole = source.mask_classes(0)
    assert len(np.unique(whole)) == 2
    for window in WINDOWS:
        np.testing.assert_array_equal(source.classes_in(0, window), whole[window])
    np.testing.assert_array_equal(np.concatenate(list(source.class_bands(0))), whole)


def test_a_mask_of_another_size_is_an_error(tmp_path):
    source = reader(tmp_path, write(tmp_path / "m.tif", np.zeros((40, 50), np.uint8)))
    with pytest.raises(UNetError, match="image.png is 52x45, its m.tif is 50x40; the two must have one size"):
        source.classes_in(0, WINDOWS[2])


def test_a_mask_that_has_no_class_is_an_error(tmp_path):
    numbers = np.zeros(SIZE, np.uint8)
    numbers[::2, ::2], numbers[0, 0], numbers[40, 40] = 1, 7, 9
    good = Pair("good", write(tmp_path / "image.png", colours()), MASKS["PNG"](tmp_path))
    bad = Pair("bad", good.image, write(tmp_path / "bad.tif", numbers))
    source = PairReader([good, bad], Channels(3), MaskOptions())
    with pytest.raises(UNetError, match="bad.tif"):
        source.classes_in(1, (slice(1, 3), slice(1, 3)))


# ---- windows


@pytest.mark.parametrize("mode", ["range", "percentile", "minmax", "zscore"])
@pytest.mark.parametrize("cache_mb", [0, 1])
def test_windows_are_normalized_by_the_whole_image(tmp_path, mode, cache_mb):
    normalization = Normalization(mode)
    pixels = np.random.default_rng(0).integers(0, 60000, (*SIZE, 3), dtype=np.uint16)
    pixels[0] = 0
    image = write(tmp_path / "image.tif", pixels, photometric="rgb", compression="zlib", rowsperstrip=4)
    windows = WindowReader(reader(tmp_path, MASKS["PNG"](tmp_path), image), normalization, 2, cache_mb)
    whole, classes = windows[0]
    for window in WINDOWS:
        found, found_classes = windows.window(0, window)
        np.testing.assert_allclose(found, whole[window], atol=1e-6)
        np.testing.assert_array_equal(found_classes, classes[window])
        assert found.dtype == whole.dtype
    assert windows.size(0) == SIZE and bool(windows.cache.kept) == bool(cache_mb)


def test_only_what_fits_into_memory_is_kept(tmp_path):
    image, mask = write(tmp_path / "image.png", colours()), MASKS["PNG"](tmp_path)
    source = PairReader([Pair(str(k), image, mask) for k in range(110)], Channels(3), MaskOptions())
    windows = WindowReader(source, Normalization("range"), 2, 1)
    for index in range(110):
        windows.window(index, WINDOWS[1])
    of_one = SIZE[0] * SIZE[1] * 4
    assert len(windows.cache.kept) == 10**6 // of_one
