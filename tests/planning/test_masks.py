"""What masks hold that no option describes."""
import numpy as np
import pytest
from PIL import Image

from src.data.mask_pixels import MaskPixels, read_mask
from src.model_utils.errors import UNetError
from src.planning.masks import decide, is_mask

BLACK, RED, BLUE = 0, 0xff0000, 0x0000ff


def masks(*pages, **more):
    return [MaskPixels(f"{number}.png", np.array(page), **more) for number, page in enumerate(pages)]


@pytest.mark.parametrize("pages, options", [
    ([[[0, 255, 0]]], {"num_classes": 2}),
    ([[[0, 1, 1]]], {"num_classes": 2}),
    ([[[7, 9, 9]]], {"num_classes": 2}),
    ([[[0, 0, 0]]], {"num_classes": 2}),
    ([[[0, 1, 0, 1, 0, 2, 0, 2]]], {"num_classes": 3}),
    ([[[0, 1, 0, 1, 0, 3, 0, 3]]], {"num_classes": 4}),     # 2 may be in other images
    ([[[0, 128, 0, 128, 0, 255, 0, 255]]], {"num_classes": 3, "class_values": [0, 128, 255]}),
    ([[[1, 2, 1, 2, 1, 3, 1, 3]]], {"num_classes": 3, "class_values": [1, 2, 3]}),
    ([[[0, 1, 255, 0, 1, 0, 1]]], {"num_classes": 2, "ignore_index": 255}),
    ([[[0, 1, 0, 1, 2, 0, 2, 255, 0, 255]]], {"num_classes": 3, "ignore_index": 255})])
def test_numbers(pages, options):
    assert decide(masks(*pages)).options == options


def test_numbers_of_objects_and_of_organs():
    cells = decide(masks([[0, 1, 0, 2, 0, 3, 0]], [[0, 1, 0, 2, 0, 3, 0, 4]]))
    assert cells.has_objects and cells.options == {"num_classes": 2}
    organs = decide(masks([[0, 1, 0, 2, 0, 3, 0]], [[1, 1, 0, 2, 0, 0, 3]]))
    assert not organs.has_objects and organs.options == {"num_classes": 4}


def test_few_numbers_are_objects_by_a_guess():
    """They may be those of organs, not all of which are in each slice."""
    few = decide(masks([[0, 1, 0, 2, 0, 3, 0]], [[0, 0, 0, 2, 0, 3, 0]]))
    assert few.has_objects and few.is_guess and few.because.endswith("if they are classes: --num_classes=4")
    many = decide(masks([[0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9]]))
    assert many.has_objects and not many.is_guess and "--num_classes" not in many.because


def test_colours_have_black_first_and_then_the_most_frequent():
    found = decide(masks([[BLACK, RED, BLUE, BLUE]], is_colour=True))
    assert found.options == {"num_classes": 3, "class_values": ["#000000", "#0000ff", "#ff0000"]}
    assert not found.is_guess
    assert decide(masks([[RED, BLUE, BLUE]], is_colour=True)).is_guess


def test_masks_of_one_gray_beside_coloured_ones():
    found = decide([*masks([[BLACK, RED]], is_colour=True), *masks([[0, 0]])])
    assert found.options["class_values"] == ["#000000", "#ff0000"]


def test_palettes_that_differ_are_colours():
    palettes = np.array([[[0, 0, 0], [255, 0, 0]], [[255, 0, 0], [0, 0, 0]]], np.uint8)
    found = decide([MaskPixels("x", np.array([[0, 1]]), palette=palette) for palette in palettes])
    assert found.options == {"num_classes": 2, "class_values": ["#000000", "#ff0000"]}
    assert decide(masks([[0, 1, 1]], palette=palettes[0])).options == {"num_classes": 2}


def test_what_is_ignored_is_no_class():
    assert decide(masks([[0, 1, 7, 0, 1]]), ignore=7).options == {"num_classes": 2}


def test_masks_of_ignored_pixels_only():
    with pytest.raises(UNetError, match="all pixels of the masks are ignored"):
        decide(masks([[7, 7]]), ignore=7)


@pytest.mark.parametrize("pixels, words", [
    (masks([[*range(0, 240), *range(240, 0, -1)]]), "241 values found"),
    (masks([[*range(1, 90)]], is_colour=True), "89 colours found"),
    (masks([[-1, 0, -1, 1, 0, 1]]), "3 values found")])
def test_what_makes_no_sense_is_an_error(pixels, words):
    with pytest.raises(UNetError, match=words):
        decide(pixels)


def test_files_that_look_like_masks(tmp_path):
    rng = np.random.default_rng(1)
    edges = np.where(np.arange(40) < 20, 0, 255)[None].repeat(40, 0).astype(np.uint8)
    edges[:, 20] = [70, 100, 128, 150, 190] * 8
    for name, pixels in (("two", edges // 255 * 255), ("edges", edges), ("noise", rng.integers(0, 255, (40, 40)))):
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "text.png").write_bytes(b"x")
    looks = {name: is_mask(tmp_path / f"{name}.png") for name in ("two", "edges", "noise", "text")}
    assert looks == {"two": True, "edges": True, "noise": False, "text": False}
    assert decide([read_mask(tmp_path / "edges.png")]).is_guess
