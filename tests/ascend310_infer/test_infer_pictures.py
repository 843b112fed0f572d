"""C++ inference: the pictures that the program decodes itself, where it was built with OpenCV."""
import json
import os
import re
import shutil

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.channels import Channels
from src.data.image_reader import count_pages, read_image
from src.data.transforms import to_unit_range
from tests.support.lite import MODELS, assert_refused, write_images

pytestmark = pytest.mark.slow


def test_png_inputs(infer, expected, tmp_path):
    """With --need_preprocess=y they are decoded, resized and scaled, where the program was built with OpenCV."""
    pixels = np.random.default_rng(2).integers(0, 256, (2, 40, 50, 3), dtype=np.uint8)
    (tmp_path / "png").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image[..., ::-1]).save(tmp_path / "png" / f"a.{number}.png")
    resized = np.stack([cv2.resize(image, (32, 16)) for image in pixels])
    write_images(tmp_path / "bin", to_unit_range(resized).transpose(0, 3, 1, 2).copy(), ["a.0.bin", "a.1.bin"])
    result = infer("--need_preprocess=y", model=MODELS / "nested.mindir", inputs="bin")
    assert result.returncode == 0, result.stderr
    from_bin = [(tmp_path / "out" / f"a.{number}_0.bin").read_bytes() for number in range(2)]
    shutil.rmtree(tmp_path / "out")
    shutil.rmtree(tmp_path / "time_Result")
    assert_refused(infer(model=MODELS / "nested.mindir", inputs="png"), tmp_path, 2, "2 pictures; --need_preprocess=y")
    result = infer("--need_preprocess=y", "--input_range=[-1, 1]", model=MODELS / "nested.mindir", inputs="png")
    if "OpenCV" in result.stderr:
        assert result.returncode == 2 and re.fullmatch(r"error: png/a.0.png: .* without OpenCV.*\n", result.stderr)
    else:
        assert [(tmp_path / "out" / f"a.{number}_0.bin").read_bytes() for number in range(2)] == from_bin
    shutil.copy(tmp_path / "bin" / "a.1.bin", tmp_path / "png")
    result = infer("--need_preprocess=y", model=MODELS / "nested.mindir", inputs="png")
    assert result.returncode == 2 and "a.1_0.bin; remove one of them" in result.stderr


@pytest.mark.parametrize("form", [{}, {"bigtiff": True, "byteorder": ">"}, {"compression": "zlib"}])
def test_pages_of_tiff_files(infer, tmp_path, form):
    """Each page is an input: NAME_PAGE_0.bin; the page of a file of one is NAME_0.bin."""
    pixels = np.random.default_rng(3).integers(0, 256, (4, 40, 50, 3), dtype=np.uint8)
    (tmp_path / "tif").mkdir()
    tifffile.imwrite(tmp_path / "tif" / "s.tif", pixels[:3, ..., ::-1], photometric="rgb", metadata=None, **form)
    tifffile.imwrite(tmp_path / "tif" / "t.tiff", pixels[3, ..., ::-1], photometric="rgb", metadata=None, **form)
    resized = np.stack([cv2.resize(image, (32, 16)) for image in pixels])
    names = ["s_0", "s_1", "s_2", "t"]
    write_images(tmp_path / "bin", to_unit_range(resized).transpose(0, 3, 1, 2).copy(),
                 [f"{name}.bin" for name in names])
    assert infer(model=MODELS / "nested.mindir", inputs="bin").returncode == 0
    from_bin = [(tmp_path / "out" / f"{name}_0.bin").read_bytes() for name in names]
    shutil.rmtree(tmp_path / "out")
    result = infer("--need_preprocess=y", model=MODELS / "nested.mindir", inputs="tif")
    if "OpenCV" in result.stderr:
        pytest.skip("the program was built without OpenCV")
    assert result.returncode == 0, result.stderr
    assert sorted(os.listdir(tmp_path / "out")) == sorted(f"{name}_0.bin" for name in names)
    assert [(tmp_path / "out" / f"{name}_0.bin").read_bytes() for name in names] == from_bin


RGBA = np.random.default_rng(4).integers(0, 256, (16, 32, 4), dtype=np.uint8)
COLOUR, GRAY = {"photometric": "rgb"}, {"photometric": "minisblack"}
ALPHA = {**COLOUR, "extrasamples": ["unassalpha"]}
TURNED = {"extratags": [(274, 3, 1, 3, True)]}


def test_tiff_files_are_decoded_as_in_python(infer, tmp_path):
    """Colours are not multiplied by alpha; the endings may be capital letters."""
    (tmp_path / "tif").mkdir()
    for name, data, form in (
            ("alpha.TIF", RGBA, ALPHA), ("deflated.Tiff", RGBA, {**ALPHA, "compression": "zlib", "predictor": True}),
            ("big.tif", RGBA, {**ALPHA, "bigtiff": True, "byteorder": ">"}),
            ("motorola.tif", RGBA, {**ALPHA, "byteorder": ">"}), ("stack.tif", np.stack([RGBA, RGBA[::-1]]), ALPHA),
            ("planes.tif", RGBA.transpose(2, 0, 1), {**ALPHA, "planarconfig": "separate"}),
            ("jpeg.tif", RGBA[..., :3], {**COLOUR, "compression": "jpeg"}),
            ("white.tif", RGBA[..., 0], {"photometric": "miniswhite", "compression": "lzw", **TURNED}),
            ("palette.tif", RGBA[..., 0], {"photometric": "palette", "compression": "packbits",
                                           "colormap": np.arange(768, dtype=np.uint16).reshape(3, 256) * 85})):
        tifffile.imwrite(tmp_path / "tif" / name, data, metadata=None, **form)
    Image.fromarray(RGBA).save(tmp_path / "tif" / "b.PNG")
    (tmp_path / "bin").mkdir()
    for path in (tmp_path / "tif").iterdir():
        pages = count_pages(path)
        for page in range(pages):
            pixels = read_image(path, Channels(3), page).pixels
            name = f"{path.stem}_{page}" if pages > 1 else path.stem
            to_unit_range(pixels).transpose(2, 0, 1).tofile(tmp_path / "bin" / f"{name}.bin")
    assert infer(model=MODELS / "nested.mindir", inputs="bin").returncode == 0
    from_bin = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    shutil.rmtree(tmp_path / "out")
    result = infer("--need_preprocess=y", model=MODELS / "nested.mindir", inputs="tif")
    if "without OpenCV" in result.stderr:
        pytest.skip("the program was built without OpenCV")
    assert result.returncode == 0, result.stderr
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert len(found) == 11 and sorted(found) == sorted(from_bin)
    assert [name for name in found if found[name] != from_bin[name]] == []


@pytest.mark.parametrize("data, form, part", [
    (RGBA[..., :3], {**COLOUR, "compression": "jpeg2000"}, "compression number 34712"),
    (RGBA[..., 0], {**GRAY, "compression": "jpegxl"}, "compression number 50002"),
    (RGBA, {**GRAY, "planarconfig": "contig"}, "4 bands of gray"),
    (RGBA.transpose(2, 0, 1)[:2], {**GRAY, "planarconfig": "separate"}, "2 bands of gray"),
    (np.concatenate([RGBA, RGBA], axis=2), COLOUR, "8 bands in colour"),
    (RGBA[..., :3].astype(np.uint16), COLOUR, "numbers of 16 bits"),
    (RGBA[..., 0].astype(np.uint32), GRAY, "numbers of 32 bits"),
    (RGBA[..., 0].astype(np.float16), GRAY, "signed or floating-point numbers"),
    (RGBA[..., :3].astype(np.float64), COLOUR, "signed or floating-point numbers"),
    (RGBA[..., :3], {"photometric": "cielab"}, "photometric interpretation number 8"),
    (RGBA[..., :3], {**COLOUR, **TURNED, "tile": (32, 32)}, "tiles, and an orientation"),
    (np.stack([RGBA[..., 0]] * 2), {**GRAY, "volumetric": True}, "several images in one page"),
    (RGBA[..., 0], {**GRAY, "subfiletype": 1}, "smaller copies of its images, or masks of them"),
], ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "")
def test_tiff_files_that_are_not_decoded(infer, tmp_path, data, form, part):
    """Before the first image runs, also if only a later page is of such a kind; with and without OpenCV."""
    (tmp_path / "tif").mkdir()
    path = tmp_path / "tif" / "s.tif"
    for place in ("", ", page 1 from 0"):
        with tifffile.TiffWriter(path) as file:
            if place:
                file.write(RGBA[..., 0], metadata=None, **GRAY)
            file.write(data, metadata=None, **form)
        assert_refused(infer("--need_preprocess=y", model=MODELS / "nested.mindir", inputs="tif"), tmp_path, 2,
                       f"tif/s.tif{place}: TIFF with {part}, which this program does not read; make .bin files")


def test_a_tiff_file_that_opencv_does_not_take(infer, tmp_path):
    """It is not called damaged."""
    (tmp_path / "tif").mkdir()
    tifffile.imwrite(tmp_path / "tif" / "s.tif", RGBA[..., :3], tile=(16, 16), metadata=None, **COLOUR)
    result = infer("--need_preprocess=y", model=MODELS / "nested.mindir", inputs="tif")
    if "without OpenCV" in result.stderr or result.returncode == 0:
        pytest.skip("the program was built without OpenCV, or with one that takes such tiles")
    assert result.returncode == 2 and "or does not take the size of its tiles: make .bin files" in result.stderr


def test_a_folder_with_other_endings(infer, tmp_path):
    (tmp_path / "other").mkdir()
    for name in ("a.JPG", "b.jpg", "c.czi", "d"):
        (tmp_path / "other" / name).write_bytes(b"")
    assert_refused(infer("--need_preprocess=y", inputs="other"), tmp_path, 2,
                   "other: no .bin, .png, .tif or .tiff file in it, only files with other endings: .czi, .jpg, none;")
    (tmp_path / "other" / "e.TIF").write_bytes(b"")
    assert_refused(infer(inputs="other"), tmp_path, 2, "no .bin file in it, but 1 pictures; --need_preprocess=y")


def test_damaged_tiff_files(infer, tmp_path):
    """A header cut off, pages in a circle, and no TIFF at all; with and without OpenCV."""
    (tmp_path / "tif").mkdir()
    path = tmp_path / "tif" / "s.tif"
    tifffile.imwrite(path, np.zeros((2, 8, 8), np.uint8), photometric="minisblack", metadata=None)
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        first, second = (page.offset for page in file.pages)
    after = second + 2 + 12 * int.from_bytes(whole[second:second + 2], "little")
    for data, part in ((whole[:first + 6], "damaged or truncated"), (b"", "damaged or truncated"),
                       (b"MM" + whole[2:], "damaged or truncated"),
                       (whole[:after] + first.to_bytes(4, "little") + whole[after + 4:], "more than 100000 pages")):
        path.write_bytes(data)
        assert_refused(infer("--need_preprocess=y", inputs="tif"), tmp_path, 2, "tif/s.tif", part)


def test_pictures_that_the_program_takes(infer, tmp_path):
    """PNG by its first bytes; and not if the training scaled images and the model has another size."""
    (tmp_path / "png").mkdir()
    Image.fromarray(np.zeros((16, 32, 3), np.uint8)).save(tmp_path / "png" / "a.png", "BMP")
    result = infer("--need_preprocess=y", model=MODELS / "nested.mindir", inputs="png")
    assert (result.returncode, result.stderr) == (2, "error: png/a.png: no PNG file; save it as PNG or TIFF\n")
    shutil.rmtree(tmp_path / "out")
    model = shutil.copy(MODELS / "nested.mindir", tmp_path)
    (tmp_path / "nested.mindir.json").write_text(json.dumps({"input_size": [16, 32], "scale": 0.19}))
    assert_refused(infer("--need_preprocess=y", model=model, inputs="png"), tmp_path, 2,
                   "trained with images scaled by 0.19, and its input has another size, which")


def test_pictures_of_a_native_network_are_not_resized(infer, tmp_path):
    """A network that was trained on images in their own sizes knows objects of these sizes only."""
    model = shutil.copy(MODELS / "nested.mindir", tmp_path)
    (tmp_path / "nested.mindir.json").write_text(json.dumps({"geometry": {"dataset": "ISBI", "input": "native"}}))
    (tmp_path / "png").mkdir()
    picture = tmp_path / "png" / "a.png"
    Image.fromarray(np.zeros((16, 32, 3), np.uint8)).save(picture)
    result = infer("--need_preprocess=y", model=model, inputs="png")
    assert result.returncode == 0, result.stderr
    (tmp_path / "out" / "a_0.bin").unlink()
    Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save(picture)
    result = infer("--need_preprocess=y", model=model, inputs="png")
    assert result.returncode == 2 and result.stderr == (
        f"error: {picture.relative_to(tmp_path)}: 32x48 (height x width), and the model takes 16x32; it was trained on "
        "images that are not resized: export it with --height=32 --width=48, or use predict.py, which cuts windows\n")
    assert not os.listdir(tmp_path / "out")


def test_pictures_for_a_model_of_another_size_than_in_training(infer, tmp_path):
    """They were not resized in training, and are not here."""
    model = shutil.copy(MODELS / "nested.mindir", tmp_path)
    (tmp_path / "nested.mindir.json").write_text(json.dumps({"input_size": [16, 32], "scale": 1.0}))
    (tmp_path / "png").mkdir()
    Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(tmp_path / "png" / "a.png")
    result = infer("--need_preprocess=y", model=model, inputs="png")
    if "without OpenCV" in result.stderr:
        pytest.skip("the program was built without OpenCV")
    assert result.returncode == 2 and "32x64 (height x width), and the model takes 16x32" in result.stderr
