"""Pages as they are stored: whatever is written by tifffile and Pillow is read back, whole and in bands."""
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from src.data.image_reader import open_pages
from tests.support.pages import COLOUR, GRAY, numbers, read, same
from tests.support.tiffs import write_packed

DTYPES = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@given(dtype=st.sampled_from(DTYPES),
       samples=st.sampled_from([1, 2, 3, 4, 7]), separate=st.booleans(),
       options=st.sampled_from([{}, {"tile": (16, 32)}, {"rowsperstrip": 5}, {"rowsperstrip": 37}]),
       compression=st.sampled_from([{}, {"compression": "zlib"}, {"compression": "lzw"}, {"compression": "zstd"}]),
       byteorder=st.sampled_from("<>"), bigtiff=st.booleans(), orientation=st.integers(1, 8))
def test_any_tiff_is_read_as_it_was_written(folder, dtype, samples, separate, options, compression, byteorder, bigtiff,
                                            orientation):
    array = numbers(dtype, (37, 53, samples), seed=samples)
    written = np.moveaxis(array, -1, 0) if separate and samples > 1 else array if samples > 1 else array[..., 0]
    planar = ("separate" if separate else "contig") if samples > 1 else None
    tifffile.imwrite(folder / "a.tif", written, photometric="minisblack", planarconfig=planar, byteorder=byteorder,
                     bigtiff=bigtiff, extratags=[(274, 3, 1, orientation, True)], **options, **compression)
    same(read(folder / "a.tif"), [turned(array, orientation)])


@given(axes=st.lists(st.sampled_from("TZCQ"), max_size=3, unique=True).map("".join), colour=st.booleans(),
       kind=st.sampled_from(["shaped", "shaped in one", "imagej", "ome"]), compressed=st.booleans(),
       separate=st.booleans(), dtype=st.sampled_from(["uint8", "uint16", "float32"]))
def test_any_axes_are_read_as_they_were_written(folder, axes, colour, kind, compressed, separate, dtype):
    """Channels belong to a page, all other axes number the pages; of colour images, channels too."""
    if kind in ("imagej", "ome"):
        axes = "".join(axis for axis in ("TZC" if kind == "imagej" else axes) if axis in axes and axis != "Q")
    if kind == "imagej" and dtype != "uint8":
        colour = False      # which ImageJ does not have
    array = numbers(dtype, (*(2 + "TZCQ".index(axis) for axis in axes), 17, 23, *([3] if colour else [])), seed=3)
    separate = separate and colour and kind != "imagej"
    options = {"metadata": {"axes": axes + ("SYX" if separate else "YXS" if colour else "YX")},
               "photometric": "rgb" if colour else "minisblack"}
    if separate:
        options["planarconfig"] = "separate"
    if kind == "shaped in one":
        options["truncate"] = True
    elif kind != "shaped":
        options[kind] = True
    if compressed and kind == "shaped":
        options["compression"] = "zlib"
    path = folder / f"a{'.ome' if kind == 'ome' else ''}.tif"
    tifffile.imwrite(path, np.moveaxis(array, -1, -3) if separate else array, **options)
    if "C" in axes and not colour:
        pages = np.moveaxis(array, axes.index("C"), -1)
    else:
        pages = array if colour else array[..., None]
    same(read(path), list(pages.reshape(-1, *pages.shape[-3:])))


@given(mode=st.sampled_from(["1", "L", "LA", "RGB", "RGBA", "I;16", "P"]), orientation=st.integers(1, 8),
       options=st.sampled_from([("png", {}), ("tif", {}), ("tif", {"compression": "tiff_lzw"}),
                                ("tif", {"compression": "tiff_adobe_deflate"}), ("webp", {"lossless": True})]))
def test_any_image_of_pillow_is_read_as_it_was_written(folder, mode, orientation, options):
    ending, options = options
    if ending == "webp" and mode != "RGB":
        return
    exif = Image.Exif()
    exif[274] = orientation
    array = numbers(np.uint16 if mode == "I;16" else np.uint8, (37, 53, *([] if mode == "I;16" else [3])), seed=4)
    image = Image.fromarray(array)
    image = image if mode == "I;16" else image.convert(mode)
    if "A" in mode:
        image.putalpha(Image.fromarray(numbers(np.uint8, (37, 53), seed=5)))
    image.save(folder / f"a.{ending}", exif=exif, **options)
    same(read(folder / f"a.{ending}"), [turned(np.atleast_3d(np.asarray(image)), orientation)])
    if mode != "I;16":
        shown = read(folder / f"a.{ending}", "shown")
        without_alpha = image.convert({"LA": "L", "RGBA": "RGB", "P": "RGB"}.get(mode, mode))
        same(shown, [turned(np.atleast_3d(np.asarray(without_alpha)), orientation)])


def turned(array, orientation):
    """Make an image upright, spelled out case by case."""
    flipped = {2: np.fliplr, 4: np.flipud, 5: lambda a: np.fliplr(np.rot90(a, -1)),
               7: lambda a: np.flipud(np.rot90(a, -1))}
    rotated = {1: lambda a: a, 3: lambda a: np.rot90(a, 2), 6: lambda a: np.rot90(a, -1), 8: np.rot90}
    return {**flipped, **rotated}[orientation](array)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_orientation_of_photographs(folder, ending, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(COLOUR).save(folder / f"a.{ending}", exif=exif)
    with Image.open(folder / f"a.{ending}") as image:
        same(read(folder / f"a.{ending}"), [np.asarray(ImageOps.exif_transpose(image))])


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
def test_packed_numbers(folder, bits):
    array = (GRAY % 2 ** bits).astype(bool if bits == 1 else np.uint8 if bits <= 8 else np.uint16)
    write_packed(folder / "a.tif", array, bits)
    same(read(folder / "a.tif"), [array])
    write_packed(folder / "a.tif", array, bits, photometric=0)
    same(read(folder / "a.tif", "shown"), [~array if bits == 1 else (2 ** bits - 1 - array).astype(array.dtype)])
    with open_pages(folder / "a.tif") as pages:
        assert (pages[0].bits, pages[0].limits) == (bits, (0, 2 ** bits - 1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_as_pillow_writes_it(folder, mode):
    array = GRAY.astype(np.uint16) * 30 if mode == "I;16" else COLOUR
    image = Image.fromarray(array) if mode == "I;16" else Image.fromarray(array).convert(mode)
    image.save(folder / "a.png")
    same(read(folder / "a.png"), [np.asarray(image)])


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_16_bits_in_a_png(folder, samples):
    """Gray and RGB, without and with alpha."""
    array = numbers(np.uint16, (37, 53, samples), seed=0)
    (folder / "a.png").write_bytes(imagecodecs.png_encode(array))
    same(read(folder / "a.png"), [array])
    with open_pages(folder / "a.png") as pages:
        assert (pages[0].bits, pages[0].alpha) == (16, {2: 1, 4: 3}.get(samples))
