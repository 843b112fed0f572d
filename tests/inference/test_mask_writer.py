"""The files of a prediction: their sizes, pages and values; and the image is never overwritten."""
import tracemalloc

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.file_structure import FileStructure
from src.data.image_files import ImageFile
from src.data.stacks import read_probabilities
from src.inference.mask_writer import OPACITY, STRIP, MaskOptions, MaskWriter
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError

WIDTH = 11


def structure(name, pages=1):
    return FileStructure(pages, is_tiff=name.endswith(".tif"))


def nothing():
    """A page that is not shown."""
    return iter([])


def write(folder, name, pages, classes=2, parts=5):
    """Write pages of random probabilities that arrive in ``parts``; return (image, probabilities) of each page."""
    rng = np.random.default_rng(0)
    options = parse_options([f"--output_path={folder}", f"--num_classes={classes}", "--overlay=True",
                             "--save_probability=True"], "")
    writer = MaskWriter(MaskOptions.from_config(options))
    made = []
    with writer.open(ImageFile(folder / name, name.split(".")[0]), structure(name, len(pages))) as output:
        for height in pages:
            pixels = rng.integers(0, 256, (height, WIDTH, 3), dtype=np.uint8)
            probability = rng.random((height, WIDTH, classes), np.float32)
            made.append((pixels, probability))
            output.add((height, WIDTH), iter(np.array_split(probability, parts)),
                       lambda pixels=pixels: iter(np.array_split(pixels, 2)))
    return made, writer.palette


@pytest.mark.parametrize("height", [1, 7, STRIP, STRIP + 1, 3 * STRIP - 1])
def test_two_classes(tmp_path, height):
    ((pixels, probability),), colors = write(tmp_path, "a.png", [height])
    mask = np.asarray(Image.open(tmp_path / "predictions" / "a.png"))
    np.testing.assert_array_equal(mask, np.uint8(255) * (probability[..., 1] > probability[..., 0]))
    found = tifffile.imread(tmp_path / "probabilities" / "a.tif")
    np.testing.assert_array_equal(found.reshape(height, WIDTH), probability[..., 1])
    overlay = np.asarray(Image.open(tmp_path / "overlays" / "a.png")).astype(int)
    mixed = (1 - OPACITY) * pixels + OPACITY * colors[1]
    np.testing.assert_allclose(overlay, np.where(mask[..., None] > 0, mixed, pixels), atol=1)


def test_a_large_page_takes_little_more_memory_than_its_mask(tmp_path):
    height, width = 1000, 4000
    rows = np.zeros((50, width, 2), np.float32)
    rows[:, ::3, 1] = 1
    writer = MaskWriter(MaskOptions(tmp_path))
    tracemalloc.start()
    with writer.open(ImageFile(tmp_path / "a.tif", "a"), structure("a.tif")) as output:
        output.add((height, width), (rows for _ in range(height // len(rows))), nothing)
        assert output.pixels.tolist() == [height * 2666, height * 1334]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * height * width


def test_stack(tmp_path):
    """As many pages in the same order."""
    made, _ = write(tmp_path, "a.tif", [STRIP + 3] * 3)
    masks, found, overlays = (tifffile.imread(tmp_path / folder / "a.tif")
                              for folder in ("predictions", "probabilities", "overlays"))
    assert overlays.shape == (3, STRIP + 3, WIDTH, 3)
    for page, (pixels, probability) in enumerate(made):
        np.testing.assert_array_equal(masks[page], np.uint8(255) * (probability[..., 1] > probability[..., 0]))
        np.testing.assert_array_equal(found[page], probability[..., 1])
        unmarked = masks[page] == 0
        np.testing.assert_array_equal(overlays[page][unmarked], pixels[unmarked])
    assert np.array_equal(cv2.imread(str(tmp_path / "probabilities" / "a.tif"), cv2.IMREAD_UNCHANGED), found[0])


def test_many_classes(tmp_path):
    ((_, probability),), _ = write(tmp_path, "a.png", [20], classes=4)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "predictions" / "a.png")),
                                  probability.argmax(axis=-1))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "probabilities" / "a.tif"),
                                  probability.transpose(2, 0, 1))


def test_probabilities_of_many_classes_wait_in_a_file(tmp_path):
    """Memory holds some rows of them, and the mask; and nothing stays beside the result."""
    height, width, classes = 640, 150, 16
    rng = np.random.default_rng(0)
    rows = [rng.random((20, width, classes), np.float32) for _ in range(2)]
    writer = MaskWriter(MaskOptions(tmp_path, classes, save_probability=True))
    tracemalloc.start()
    with writer.open(ImageFile(tmp_path / "a.tif", "a"), structure("a.tif")) as output:
        output.add((height, width), (rows[number % 2] for number in range(height // 20)), nothing)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * height * width * classes / 4
    found = tifffile.imread(tmp_path / "probabilities" / "a.tif")
    np.testing.assert_array_equal(found, np.concatenate(rows * 16).transpose(2, 0, 1))
    assert [path.name for path in (tmp_path / "probabilities").iterdir()] == ["a.tif"]


def test_submission(tmp_path):
    """A stack that ImageJ and the score read: float32 slices of class 1, 0 for membrane, uncompressed in the file."""
    writer = MaskWriter(MaskOptions(tmp_path, isbi_submission=True))
    cells = np.random.default_rng(0).random((3, STRIP + 3, WIDTH), np.float32)
    cells[0, 0, :2] = -1e-7, 1 + 1e-6       # as a rounded mean may be
    with writer.open(ImageFile(tmp_path / "test-volume.tif", "test-volume"), structure("a.tif", 3)) as output:
        for page in cells:
            output.add(page.shape, iter(np.array_split(np.stack([1 - page, page], -1), 5)), nothing)
    path = tmp_path / "submission" / "test-volume.tif"
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == file.imagej_metadata["slices"] == 3
        assert {page.compression for page in file.pages} == {1} and file.pages[0].dtype == np.float32
        start = file.pages[0].dataoffsets[0]
    cells[0, 0, :2] = 0, 1
    np.testing.assert_array_equal(read_probabilities(path), cells)
    assert path.read_bytes()[start:start + cells.nbytes] == cells.tobytes()     # all slices, one after the other
    assert not (tmp_path / "probabilities").exists()


def test_a_submission_has_two_classes_and_one_size(tmp_path):
    with pytest.raises(UNetError, match="isbi_submission .* num_classes is 3; expected 2"):
        MaskWriter(MaskOptions(tmp_path, num_classes=3, isbi_submission=True))
    writer = MaskWriter(MaskOptions(tmp_path, isbi_submission=True))
    with pytest.raises(UNetError, match=r"a\.tif: a slice is 11x5, the first one is 11x6"), \
            writer.open(ImageFile(tmp_path / "a.tif", "a"), structure("a.tif", 2)) as output:
        for height in (6, 5):
            output.add((height, WIDTH), iter([np.zeros((height, WIDTH, 2), np.float32)]), nothing)
    with pytest.raises(UNetError, match="20000 slices of 1000x500 are more than a TIFF of ImageJ holds"), \
            writer.open(ImageFile(tmp_path / "a.tif", "a"), structure("a.tif", 20000)) as output:
        output.add((500, 1000), iter([np.zeros((500, 1000, 2), np.float32)]), nothing)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_the_image_is_never_overwritten(tmp_path, name):
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / name).write_bytes(b"mine")
    writer = MaskWriter(MaskOptions(tmp_path))
    with pytest.raises(UNetError, match="choose another output_path"), \
            writer.open(ImageFile(folder / name, "a"), structure(name)):
        pass
    assert (folder / name).read_bytes() == b"mine"


def test_a_stack_appears_whole_or_not_at_all(tmp_path):
    def broken():
        yield np.zeros((3, WIDTH, 2), np.float32)
        raise UNetError("page 2 is damaged")

    writer = MaskWriter(MaskOptions(tmp_path, save_probability=True))
    with pytest.raises(UNetError, match="page 2"), \
            writer.open(ImageFile(tmp_path / "a.tif", "a"), structure("a.tif", 2)) as output:
        output.add((6, WIDTH), iter([np.zeros((6, WIDTH, 2), np.float32)]), nothing)
        output.add((6, WIDTH), broken(), nothing)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_prediction_of_one_class_is_warned_of(tmp_path, caplog):
    writer = MaskWriter(MaskOptions(tmp_path, num_classes=3))

    def page(*shares):
        return iter([np.tile(np.float32(shares), (4, WIDTH, 1))])

    with writer.open(ImageFile(tmp_path / "a.tif", "a"), structure("a.tif", 2)) as output:
        output.add((4, WIDTH), page(0.1, 0.6, 0.3), nothing)
        output.add((4, WIDTH), page(0.2, 0.7, 0.1), nothing)
    assert "a.tif: all pixels are predicted as class 1; the most likely other class is 2, with a mean probability of " \
           "20 %" in caplog.text
    caplog.clear()
    with writer.open(ImageFile(tmp_path / "b.tif", "b"), structure("b.tif", 2)) as output:
        output.add((4, WIDTH), page(0.1, 0.6, 0.3), nothing)
        output.add((4, WIDTH), page(0.7, 0.2, 0.1), nothing)
    assert not caplog.text
