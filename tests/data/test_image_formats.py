"""Formats by their first bytes, and what is said of those that are not read."""
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.image_formats import foreign_line, format_of, is_image
from src.data.image_reader import count_pages, open_pages
from src.model_utils.errors import UNetError

GRAY = np.arange(12 * 9, dtype=np.uint8).reshape(12, 9)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_content_counts_not_the_ending(tmp_path, file_format):
    path = tmp_path / "a.PNG"
    Image.fromarray(GRAY).save(path, file_format, **({"lossless": True} if file_format == "WEBP" else {}))
    assert format_of(path) == file_format and is_image(path) and count_pages(path) == 1
    with open_pages(path) as pages:
        page, = pages
        assert (page.format, page.height, page.width) == (file_format, 12, 9)
        if file_format != "JPEG":
            np.testing.assert_array_equal(page.shown()[..., 0], GRAY)


@pytest.mark.parametrize(("start", "words"), [
    (b"ZISRAWFILE", "a CZI file, which is not read; save it as OME-TIFF"),
    (b"\0" * 128 + b"DICM", "a DICOM file, which is not read; save its slices as TIFF"),
    (b"\x89HDF\r\n", "an HDF5 file"), (b"NRRD0004", "an NRRD file"),
    (b"\0\0\0\x18ftypheic", "a HEIC file, .* save it as PNG"),
    (b"", "an empty file"), (b"hello", "damaged or of an unknown format; PNG, JPEG, BMP, GIF, WebP and TIFF")])
def test_what_is_in_a_file_that_is_not_read(tmp_path, start, words):
    (tmp_path / "a.png").write_bytes(start)
    with pytest.raises(UNetError, match=rf"a\.png: .*{words}"):
        count_pages(tmp_path / "a.png")


def test_an_ending_helps_where_the_content_does_not(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"\x1f\x8b\0")
    with pytest.raises(UNetError, match="a NIfTI file, which is not read"):
        format_of(tmp_path / "a.nii.gz")
    with pytest.raises(UNetError, match="No such file"):
        format_of(tmp_path / "none.png")


def test_files_of_other_formats_are_counted_in_one_line():
    names = ["a.czi", "b.CZI", "c.nii.gz", "e.nd2", "d.png", ".hidden.czi", "notes.txt"]
    assert foreign_line(map(Path, names)) == (
        "left out, since they are not read: 2 CZI, 1 ND2: save it as OME-TIFF, for example with Bio-Formats in Fiji; "
        "1 NIfTI: save its slices as TIFF, for example with Fiji or 3D Slicer")
    assert foreign_line([Path("d.png")]) is None


@pytest.mark.parametrize("ending", ["gif", "png", "webp"])
def test_an_animation_is_its_first_image_and_that_is_said_once(tmp_path, caplog, ending):
    for name in "ab":
        Image.fromarray(GRAY).save(tmp_path / f"{name}.{ending}", save_all=True, lossless=True,
                                   append_images=[Image.fromarray(255 - GRAY)])
        with open_pages(tmp_path / f"{name}.{ending}") as pages:
            assert len(pages) == 1
            np.testing.assert_array_equal(pages[0].shown()[..., 0], GRAY)
    assert caplog.text.count("an animation, of which only the first image is read") == 1


def test_transparent_colours_are_said(tmp_path, caplog):
    Image.fromarray(GRAY).save(tmp_path / "a.png", transparency=7)
    with caplog.at_level("INFO", "unet"), open_pages(tmp_path / "a.png") as pages:
        np.testing.assert_array_equal(pages[0].shown()[..., 0], GRAY)
    assert "transparent pixels are read in their colours" in caplog.text


def test_a_tiff_of_another_name(tmp_path):
    tifffile.imwrite(tmp_path / "a.png", np.stack([GRAY, GRAY]), photometric="minisblack")
    assert count_pages(tmp_path / "a.png") == 2
