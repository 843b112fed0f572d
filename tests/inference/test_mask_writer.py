"""The files of a prediction: their sizes, pages and values; and the image is never overwritten."""
import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.image_reader import ImageFile
from src.data.stacks import read_probabilities
from src.inference.mask_writer import OPACITY, STRIP, MaskOptions, MaskWriter
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError

WIDTH = 11


def write(folder, name, pages, classes=2, parts=5, channels=3):
    """Write pages of random probabilities that arrive in ``parts``; return (image, probabilities) of each page."""
    rng = np.random.default_rng(0)
    options = parse_options([f"--output_path={folder}", f"--num_classes={classes}", "--overlay=True",
                             "--save_probability=True"], "")
    writer = MaskWriter(MaskOptions.from_config(options))
    made = []
    with writer.open(ImageFile(folder / name, name.split(".")[0]), len(pages)) as output:
        for height in pages:
            pixels = rng.integers(0, 256, (height, WIDTH, channels), dtype=np.uint8)
            probability = rng.random((height, WIDTH, classes), np.float32)
            made.append((pixels.copy(), probability))
            output.add(pixels, iter(np.array_split(probability, parts)))
    return made, writer.palette


@pytest.mark.parametrize("height", [1, 7, STRIP, STRIP + 1, 3 * STRIP - 1])
def test_two_classes(tmp_path, height):
    ((pixels, probability),), colors = write(tmp_path, "a.png", [height])
    mask = np.asarray(Image.open(tmp_path / "predictions" / "a.png"))
    np.testing.assert_array_equal(mask, np.uint8(255) * (probability[..., 1] > probability[..., 0]))
    found = tifffile.imread(tmp_path / "probabilities" / "a.tif")
    np.testing.assert_array_equal(found.reshape(height, WIDTH), probability[..., 1])
    overlay = np.asarray(Image.open(tmp_path / "overlays" / "a.png")).astype(int)
    mixed = (1 - OPACITY) * pixels[..., ::-1] + OPACITY * colors[1]
    np.testing.assert_allclose(overlay, np.where(mask[..., None] > 0, mixed, pixels[..., ::-1]), atol=1)


def test_stack(tmp_path):
    """As many pages in the same order; gray pages give overlays in colour."""
    made, _ = write(tmp_path, "a.tif", [STRIP + 3] * 3, channels=1)
    masks, found, overlays = (tifffile.imread(tmp_path / folder / "a.tif")
                              for folder in ("predictions", "probabilities", "overlays"))
    assert overlays.shape == (3, STRIP + 3, WIDTH, 3)
    for page, (pixels, probability) in enumerate(made):
        np.testing.assert_array_equal(masks[page], np.uint8(255) * (probability[..., 1] > probability[..., 0]))
        np.testing.assert_array_equal(found[page], probability[..., 1])
        unmarked = masks[page] == 0
        np.testing.assert_array_equal(overlays[page][unmarked], np.repeat(pixels, 3, axis=2)[unmarked])
    assert np.array_equal(cv2.imread(str(tmp_path / "probabilities" / "a.tif"), cv2.IMREAD_UNCHANGED), found[0])


def test_many_classes(tmp_path):
    ((_, probability),), _ = write(tmp_path, "a.png", [20], classes=4)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "predictions" / "a.png")),
                                  probability.argmax(axis=-1))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "probabilities" / "a.tif"),
                                  probability.transpose(2, 0, 1))


def test_submission(tmp_path):
    """A stack that ImageJ and the score read: float32 slices of class 1, 0 for membrane, uncompressed in the file."""
    writer = MaskWriter(MaskOptions(tmp_path, isbi_submission=True))
    cells = np.random.default_rng(0).random((3, STRIP + 3, WIDTH), np.float32)
    cells[0, 0, :2] = -1e-7, 1 + 1e-6       # as a rounded mean may be
    with writer.open(ImageFile(tmp_path / "test-volume.tif", "test-volume"), 3) as output:
        for page in cells:
            output.add(np.zeros((*page.shape, 1), np.uint8), iter(np.array_split(np.stack([1 - page, page], -1), 5)))
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
            writer.open(ImageFile(tmp_path / "a.tif", "a"), 2) as output:
        for height in (6, 5):
            output.add(np.zeros((height, WIDTH, 1), np.uint8), iter([np.zeros((height, WIDTH, 2), np.float32)]))
    with pytest.raises(UNetError, match="20000 slices of 1000x500 are more than a TIFF of ImageJ holds"), \
            writer.open(ImageFile(tmp_path / "a.tif", "a"), 20000) as output:
        output.add(np.zeros((500, 1000, 1), np.uint8), iter([np.zeros((500, 1000, 2), np.float32)]))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_the_image_is_never_overwritten(tmp_path, name):
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / name).write_bytes(b"mine")
    writer = MaskWriter(MaskOptions(tmp_path))
    with pytest.raises(UNetError, match="choose another output_path"), writer.open(ImageFile(folder / name, "a"), 1):
        pass
    assert (folder / name).read_bytes() == b"mine"


def test_a_stack_appears_whole_or_not_at_all(tmp_path):
    def broken():
        yield np.zeros((3, WIDTH, 2), np.float32)
        raise UNetError("page 2 is damaged")

    writer = MaskWriter(MaskOptions(tmp_path, save_probability=True))
    pixels = np.zeros((6, WIDTH, 1), np.uint8)
    with pytest.raises(UNetError, match="page 2"), writer.open(ImageFile(tmp_path / "a.tif", "a"), 2) as output:
        output.add(pixels, iter([np.zeros((6, WIDTH, 2), np.float32)]))
        output.add(pixels, broken())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
