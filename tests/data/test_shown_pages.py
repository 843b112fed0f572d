"""Pages as a viewer shows them: colours, palettes, alpha, compression."""
import re

import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.image_reader import open_pages
from src.model_utils.errors import UNetError
from tests.support.pages import COLOUR, GRAY, STACK, read, same


@pytest.mark.parametrize(("dtype", "inverse"), [(np.uint8, lambda a: 255 - a), (np.uint16, lambda a: 65535 - a),
                                                (np.int16, lambda a: -1 - a), (np.float32, lambda a: 1 - a)])
def test_white_is_zero(folder, dtype, inverse):
    array = GRAY.astype(dtype)
    tifffile.imwrite(folder / "a.tif", array, photometric="miniswhite")
    same(read(folder / "a.tif"), [array])
    same(read(folder / "a.tif", "shown"), [inverse(array)])


@pytest.mark.parametrize("ending", ["png", "tif", "gif"])
def test_palettes(folder, ending):
    image = Image.fromarray((GRAY % 4).astype(np.uint8), mode="P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(folder / f"a.{ending}")
    same(read(folder / f"a.{ending}"), [(GRAY % 4).astype(np.uint8)])
    same(read(folder / f"a.{ending}", "shown"), [np.asarray(image.convert("RGB"))])
    with open_pages(folder / f"a.{ending}") as pages:
        assert pages[0].palette[:4].tolist() == [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_numbers_beyond_the_palette(folder):
    """A palette of 128 colours, and a pixel with a larger number."""
    image = Image.fromarray(np.full((4, 5), 200, np.uint8), mode="P")
    image.putpalette([0, 0, 255] * 256)
    image.save(folder / "a.bmp")
    data = bytearray((folder / "a.bmp").read_bytes())
    data[46:50] = (128).to_bytes(4, "little")       # the number of colours that are used
    (folder / "a.bmp").write_bytes(data)
    for kind in ("stored", "shown"):
        with pytest.raises(UNetError, match="a.bmp: damaged: a pixel has the number 200, and .* only 128 colours"):
            read(folder / "a.bmp", kind)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_alpha_is_left_out(folder, ending):
    Image.fromarray(np.dstack([COLOUR, STACK[0]])).save(folder / f"a.{ending}")
    same(read(folder / f"a.{ending}", "shown"), [COLOUR])
    with open_pages(folder / f"a.{ending}") as pages:
        assert (pages[0].alpha, pages[0].bands) == (3, 3)


def test_alpha_between_other_samples(folder):
    samples = np.dstack([COLOUR, STACK[1], STACK[2]])
    tifffile.imwrite(folder / "a.tif", samples, photometric="rgb", extrasamples=["unassalpha", "unspecified"])
    same(read(folder / "a.tif", "shown"), [np.delete(samples, 3, axis=2)])


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg"])
def test_other_colours(folder, mode, compression):
    image = Image.fromarray(COLOUR).convert(mode)
    image.save(folder / "a.tif", compression=compression)
    if compression == "jpeg":       # which changes the numbers; the others are not opened, as not every Pillow can
        image = Image.open(folder / "a.tif")
    expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(read(folder / "a.tif", "shown")[0].astype(int) - expected).max() <= 1      # libtiff rounds otherwise


def test_lab(folder):
    lab = np.zeros((4, 6, 3), np.uint8)
    lab[:, :, 0] = [0, 64, 128, 192, 255, 136]
    lab[:, 5, 1:] = 80, 67         # red is (53, 80, 67)
    tifffile.imwrite(folder / "a.tif", lab, photometric="cielab")
    shown, = read(folder / "a.tif", "shown")
    assert (np.ptp(shown[:, :5], axis=2) <= 1).all() and shown[0, 0, 0] == 0 and shown[0, 4, 0] == 255
    np.testing.assert_allclose(shown[0, 5], [255, 0, 0], atol=3)


@pytest.mark.parametrize("compression", ["group3", "group4"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_fax_machines(folder, compression, photometric):
    Image.fromarray(STACK[0] > 99).save(folder / "a.tif", compression=compression, tiffinfo={262: photometric})
    with Image.open(folder / "a.tif") as image:
        same(read(folder / "a.tif", "shown"), [np.asarray(image)])


def test_lossy_compression_is_known(folder):
    for name, options in (("a.jpg", {}), ("a.webp", {}), ("b.webp", {"lossless": True}), ("a.png", {}), ("a.tif", {}),
                          ("b.tif", {"compression": "jpeg"})):
        Image.fromarray(COLOUR).save(folder / name, **options)
        with open_pages(folder / name) as pages:
            assert pages[0].is_jpeg == (name in ("a.jpg", "a.webp", "b.tif")), name


def test_images_whose_planes_are_in_other_files(folder):
    """OME metadata may name other files; the planes of this one are its pages."""
    xml = tifffile.OmeXml()
    xml.addimage(np.uint8, (5, 37, 53), (5, 1, 1, 37, 53, 1), axes="ZYX")
    text = xml.tostring().replace('<TiffData IFD="0" PlaneCount="5"/>', "".join(
        f'<TiffData IFD="{z % 3}" FirstZ="{z}" PlaneCount="1"><UUID FileName="{"m" if z < 3 else "n"}.ome.tif">'
        f'urn:uuid:{"a" if z < 3 else "b"}</UUID></TiffData>' for z in range(5)))
    for name, uuid, part in (("m", "a", STACK[:3]), ("n", "b", STACK[3:])):
        own = re.sub(r'UUID="[^"]*"', f'UUID="urn:uuid:{uuid}"', text, count=1)
        with tifffile.TiffWriter(folder / f"{name}.ome.tif") as file:
            for number, page in enumerate(part):
                file.write(page, photometric="minisblack", metadata=None, contiguous=False,
                           description=own.encode() if number == 0 else None)
    same(read(folder / "m.ome.tif"), list(STACK[:3]))
    same(read(folder / "n.ome.tif"), list(STACK[3:]))
