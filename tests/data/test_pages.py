"""Which pages an image file has, and what is not read."""
import io
import os
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data import notices
from src.data.image_reader import MAX_SIDE, check_size, count_pages
from src.data.tiff import MOST_PAGES
from src.model_utils.errors import UNetError
from tests.support.alarm import in_time
from tests.support.pages import COLOUR, STACK, numbers, read, same

# ---- which pages there are


def test_stacks(folder):
    for options in ({}, {"compression": "zlib"}, {"metadata": {"axes": "ZYX"}}, {"metadata": {"axes": "TYX"}},
                    {"truncate": True}, {"metadata": None}, {"bigtiff": True}):
        tifffile.imwrite(folder / "a.tif", STACK, photometric="minisblack", **options)
        same(read(folder / "a.tif"), list(STACK))
        assert count_pages(folder / "a.tif") == 5
    tifffile.imwrite(folder / "a.tif", STACK, photometric="minisblack", metadata={"axes": "CYX"})
    same(read(folder / "a.tif"), [np.moveaxis(STACK, 0, -1)])


@pytest.mark.parametrize(("kind", "axes"), [("imagej", "TZCYX"), ("ome", "TZCYX"), ("ome", "TCZYX"), ("ome", "CZTYX")])
def test_channels_belong_to_a_page_times_and_slices_do_not(folder, kind, axes):
    stack = numbers(np.uint16, (2, 3, 4, 37, 53), seed=1)
    path = folder / f"a.{kind}.tif"
    tifffile.imwrite(path, stack, **{kind: True}, photometric="minisblack", metadata={"axes": axes})
    channel = axes.index("C")
    same(read(path), list(np.moveaxis(stack, channel, -1).reshape(-1, 37, 53, stack.shape[channel])))


@pytest.mark.parametrize("kind", ["imagej", "ome", "plain"])
def test_stacks_of_colour_images(folder, kind):
    stack = np.stack([COLOUR, 255 - COLOUR])
    tifffile.imwrite(folder / f"b.{kind}.tif", stack, photometric="rgb", **({kind: True} if kind != "plain" else {}))
    same(read(folder / f"b.{kind}.tif"), list(stack))


def test_many_slices_after_one_header(folder):
    """As ImageJ writes stacks beyond 4 GB."""
    tifffile.imwrite(folder / "a.tif", STACK, imagej=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(folder / "a.tif", mode="r+b") as file:
        handle, page = file.filehandle, file.pages[0]
        handle.seek(page.offset)
        count = int.from_bytes(handle.read(2), "big" if file.byteorder == ">" else "little")
        handle.seek(page.offset + 2 + 12 * count)
        handle.write(bytes(4))
    same(read(folder / "a.tif"), list(STACK))
    data = (folder / "a.tif").read_bytes()
    (folder / "a.tif").write_bytes(data[:-3000])
    with pytest.raises(UNetError, match=r"a\.tif: .*damaged"):
        read(folder / "a.tif")


def test_pages_of_many_sizes_stay_in_their_order(folder):
    pages = [STACK[0], STACK[1][:20], STACK[2], STACK[3][:20], COLOUR, STACK[0][::2, ::2]]
    with tifffile.TiffWriter(folder / "a.tif") as file:
        for page in pages:
            file.write(page, metadata=None, photometric="rgb" if page.ndim == 3 else "minisblack")
    same(read(folder / "a.tif"), pages)


@pytest.mark.parametrize("kind", ["subifds", "pages", "ome"])
def test_reduced_resolutions_are_no_pages(folder, kind):
    large = numbers(np.uint8, (128, 160), seed=2)
    with tifffile.TiffWriter(folder / f"p.{kind}.tif", ome=kind == "ome") as file:
        file.write(large, subifds=0 if kind == "pages" else 2, tile=(32, 32), metadata=None if kind == "pages" else {})
        for step in (2, 4):
            file.write(large[::step, ::step], subfiletype=1, tile=(32, 32), metadata=None)
    same(read(folder / f"p.{kind}.tif"), [large])


def test_reduced_resolutions_of_which_the_file_does_not_say_so(folder):
    large = numbers(np.uint8, (128, 160), seed=2)
    with tifffile.TiffWriter(folder / "a.tif") as file:
        for step in (1, 2, 4):
            file.write(large[::step, ::step], photometric="minisblack", tile=(32, 32), subifds=2 if step == 1 else 0)
    same(read(folder / "a.tif"), [large])


@pytest.mark.parametrize("metadata", [None, {}])
def test_a_reduced_resolution_in_a_file_of_its_own(folder, metadata):
    tifffile.imwrite(folder / "a.tif", STACK[0], subfiletype=1, photometric="minisblack", metadata=metadata)
    same(read(folder / "a.tif"), [STACK[0]])


def test_a_description_that_does_not_fit_the_pages(folder, caplog):
    for name in "ab":
        tifffile.imwrite(folder / f"{name}.tif", STACK[0], description='{"shape": [3, 37, 50]}', metadata=None,
                         photometric="minisblack")
        same(read(folder / f"{name}.tif"), [STACK[0]])
    assert caplog.text.count("does not fit its pages") == 1


@pytest.mark.parametrize("pages", [1, 3, 5])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_pages_that_another_program_took_from_a_stack_of_imagej(folder, caplog, pages, compression):
    """It copies the description, of four images."""
    with tifffile.TiffWriter(folder / "a.tif") as file:
        for number in range(pages):
            file.write(STACK[number], photometric="minisblack", metadata=None, contiguous=False,
                       compression=compression, description="" if number else "ImageJ=1.54f\nimages=4\nslices=4\n")
    same(read(folder / "a.tif"), list(STACK[:pages]))
    assert "does not fit its pages" in caplog.text


def test_axes_that_no_page_has(folder):
    """An array of (height, width, channels) that tifffile took for many narrow pages."""
    for axes in ("YXC", "YXZ"):
        tifffile.imwrite(folder / "a.tif", np.zeros((37, 53, 4), np.uint8), photometric="minisblack",
                         metadata={"axes": axes})
        with pytest.raises(UNetError, match=rf"a\.tif: images with the axes {axes}, which are not read; save it with"):
            read(folder / "a.tif")


# ---- what is not read


def test_kinds_that_are_not_read(folder):
    tifffile.imwrite(folder / "a.tif", STACK[0].astype(np.complex64))
    with pytest.raises(UNetError, match=r"a\.tif: pixels of complex64, MINISBLACK; expected gray values or colours"):
        read(folder / "a.tif")
    tifffile.imwrite(folder / "a.tif", STACK[0].astype(np.uint16), photometric="cfa")
    with pytest.raises(UNetError, match=r"a\.tif: pixels of uint16, CFA"):
        read(folder / "a.tif")


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "webp"])
def test_claims_are_refused_before_anything_is_allocated(folder, monkeypatch, ending):
    """Also the width of planes one after another, which is not the second side of their array."""
    monkeypatch.setattr("src.data.image_reader.MAX_SIDE", 50)
    if ending == "tif":
        tifffile.imwrite(folder / "a.tif", np.zeros((3, 5, 51), np.uint8), photometric="rgb", planarconfig="separate")
    else:
        Image.fromarray(np.zeros((5, 51), np.uint8)).save(folder / f"a.{ending}")
    with pytest.raises(UNetError, match="a page of 51x5; at most 50"):
        read(folder / f"a.{ending}")


def test_one_header_cannot_claim_millions_of_images(folder):
    """Of one pixel each, as many bytes are soon there."""
    tifffile.imwrite(folder / "a.tif", np.zeros((1, 1), np.uint8), metadata=None, description=(
        f"ImageJ=1.11a\nimages={MOST_PAGES + 1}\nslices={MOST_PAGES + 1}\nhyperstack=true\n"))
    with open(folder / "a.tif", "ab") as file:
        file.write(bytes(MOST_PAGES + 64))
    with in_time(10), pytest.raises(UNetError, match=f"a.tif: {MOST_PAGES + 1} images in its description; at most"):
        read(folder / "a.tif")


def test_many_pages_of_many_sizes_take_linear_time(folder):
    with tifffile.TiffWriter(folder / "a.tif") as file:
        for number in range(6000):
            file.write(np.full((1, 1 + number % 2), number % 256, np.uint8), metadata=None, software=False)
    with in_time(20):
        found = read(folder / "a.tif")
    assert [pixels.size for pixels in found] == [1, 2] * 3000 and found[5].ravel().tolist() == [5, 5]


def test_absurd_sizes():
    check_size("x", MAX_SIDE, MAX_SIDE)
    with pytest.raises(UNetError, match=f"x: a page of 1x{MAX_SIDE + 1}; at most {MAX_SIDE}"):
        check_size("x", MAX_SIDE + 1, 1)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp", "tif"])
def test_truncated(folder, ending):
    noise = np.random.default_rng(0).integers(0, 255, (80, 90), dtype=np.uint8)
    Image.fromarray(noise).save(folder / f"a.{ending}")
    path = folder / f"a.{ending}"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UNetError, match=rf"a\.{ending}: .*damaged or truncated"):
        read(path)


@pytest.mark.parametrize("code, is_read", [(65000, True), (33550, True), (315, True), (33629, False),
                                           (273, False)])
@pytest.mark.parametrize("damage", [(2, "<H", 99), (8, "<I", 10**9), (4, "<I", 2**31)], ids=["type", "offset", "count"])
def test_a_broken_tag(folder, caplog, code, is_read, damage):
    """The pixels are read without a tag that does not matter to them, and a warning says so."""
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    tifffile.imwrite(folder / "a.tif", pixels, photometric="minisblack", metadata=None,
                     extratags=[(code, "I", 3, (1, 2, 3), True)] if code > 300 else [])
    with tifffile.TiffFile(folder / "a.tif") as file:
        place = file.pages[0].tags[code].offset
    data = bytearray((folder / "a.tif").read_bytes())
    offset, form, value = damage
    struct.pack_into(form, data, place + offset, value)
    (folder / "a.tif").write_bytes(data)
    notices._said.clear()
    if is_read:
        np.testing.assert_array_equal(read(folder / "a.tif")[0][..., 0], pixels)
        assert f"a.tif: its tag {code} is damaged and left out; the pixels can be read" in caplog.text
    else:
        with pytest.raises(UNetError, match=r"a\.tif: "):
            read(folder / "a.tif")


# ---- what an image must not start


def test_an_image_that_is_a_program(folder, monkeypatch):
    """PostScript, which Pillow gives to Ghostscript, with the mark of another format where that one has it."""
    called = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *arguments, **_: called.append(arguments))
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(owned) print\n%%EOF\n"
    in_binary = (b"\xc5\xd0\xd3\xc6" + struct.pack("<I", 32) + b"WEBP").ljust(32, b"\0") + text
    with Image.open(io.BytesIO(in_binary)) as image:
        assert image.format == "EPS"        # that is what Pillow makes of it
    for name, data in (("image.png", in_binary), ("image.webp", text)):
        (folder / name).write_bytes(data)
        with pytest.raises(UNetError, match=rf"{name}: cannot be read as an image"):
            read(folder / name)
    assert called == []


@pytest.mark.parametrize("file_name", ["../secret.tif", "fifo.tif", "&#46;&#46;&#47;secret.tif"])
def test_other_files_that_metadata_name_are_not_opened(folder, monkeypatch, file_name):
    if not (folder / "fifo.tif").exists():
        os.mkfifo(folder / "fifo.tif")
    opened, before = [], tifffile.TiffFile.__init__
    monkeypatch.setattr(tifffile.TiffFile, "__init__", lambda self, file, *arguments, **options: (
        opened.append(str(file)), before(self, file, *arguments, **options))[1])
    xml = tifffile.OmeXml()
    xml.addimage(np.uint8, (2, 37, 53), (2, 1, 1, 37, 53, 1), axes="ZYX")
    text = xml.tostring().replace('<TiffData IFD="0" PlaneCount="2"/>', '<TiffData IFD="0" FirstZ="0" PlaneCount="1"/>'
                                  f'<TiffData IFD="0" FirstZ="1" PlaneCount="1"><UUID FileName="{file_name}">'
                                  'urn:uuid:b</UUID></TiffData>')
    tifffile.imwrite(folder / "a.ome.tif", STACK[0], metadata=None, description=text.encode())
    with in_time(60):
        same(read(folder / "a.ome.tif"), [STACK[0]])
    assert opened == [str(folder / "a.ome.tif")]
