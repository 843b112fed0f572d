"""Classes of masks that are stored as colours or with a palette."""
import numpy as np
from PIL import Image

from src.data.class_values import IGNORED
from tests.support.masks import COLOURS, discs, palette_image, read, refusal, save


def test_colours(tmp_path):
    """Of one luminance, so gray values would not tell them apart."""
    mask = discs(count=2)
    path = save(tmp_path / "a.png", COLOURS[mask])
    message = refusal(path, num_classes=3)
    assert "a.png: mask colours #000000 (" in message and "#008200 (" in message
    assert message.endswith('class_values: ["#000000", "#008200", "#ff0000"]') or message.endswith(
        'class_values: ["#000000", "#ff0000", "#008200"]')
    np.testing.assert_array_equal(read(path, 3, '["#000000", "#ff0000", "#008200"]')[0][0], mask)
    np.testing.assert_array_equal(read(path, 2, '[0, other]')[0][0], mask > 0)
    with_numbers = refusal(path, num_classes=3, values="[0, 29, 76]")
    assert "class_values has no class for " in with_numbers and 'such as class_values: ["#000000", "#' in with_numbers
    (classes,), _ = read(path, 2, '["#000", "#f00"]', ignore="#008200")
    np.testing.assert_array_equal(classes, np.array([0, 1, IGNORED])[mask])


def test_gray_stored_as_colours_and_alpha(tmp_path):
    """Alpha counts where the colour is constant, and nowhere else."""
    mask = discs(numbered=False).astype(np.uint8) * 255
    gray = np.repeat(mask[..., None], 3, axis=2)
    drawn = np.concatenate([np.full_like(gray, 200), mask[..., None]], axis=2)
    opaque = np.concatenate([gray, np.full_like(mask, 128)[..., None]], axis=2)
    half = np.stack([mask, np.arange(64 * 64).reshape(64, 64).astype(np.uint8)], axis=2)
    for number, pixels in enumerate((gray, drawn, opaque, half)):
        np.testing.assert_array_equal(read(save(tmp_path / f"{number}.png", pixels))[0][0], mask > 0)


def test_gray_palettes_are_what_a_viewer_shows(tmp_path):
    """White may be number 0, in some files or in all."""
    mask = discs(numbered=False)
    white_first = save(tmp_path / "a.png", palette_image(1 - mask, [[255] * 3, [0] * 3]))
    plain = save(tmp_path / "b.png", mask.astype(np.uint8) * 255)
    gif = save(tmp_path / "c.gif", Image.fromarray(mask.astype(np.uint8) * 255))
    np.testing.assert_array_equal(read([white_first, plain, gif])[0], [mask] * 3)


def test_coloured_palettes_are_numbers(tmp_path):
    mask = discs(count=2)
    path = save(tmp_path / "a.png", palette_image(mask, COLOURS))
    np.testing.assert_array_equal(read(path, 3)[0][0], mask)
    longer = save(tmp_path / "b.png", palette_image(mask, [*COLOURS, [9, 9, 9]]))
    other = save(tmp_path / "c.png", palette_image(np.array([2, 0, 1])[mask], COLOURS[[1, 2, 0]]))
    np.testing.assert_array_equal(read([path, longer], 3)[0], [mask] * 2)
    message = refusal([path, other], num_classes=3)
    assert "c.png and" in message and "a.png have different palettes: number 0 is #ff0000" in message
    line = '["#000000", "#ff0000", "#008200"]'
    assert line in message
    np.testing.assert_array_equal(read([path, other], 3, line)[0], [mask] * 2)
    # Palettes are compared in the numbers that masks use, each with all masks before it.
    short = save(tmp_path / "d.png", palette_image(np.minimum(mask, 1), COLOURS[:2]))
    blue = save(tmp_path / "e.png", palette_image(np.maximum(mask, 1), [[1, 2, 3], COLOURS[1], [0, 0, 255]]))
    assert "e.png and" in (message := refusal([short, path, blue], num_classes=3)) and "number 2 is #0000ff" in message
    np.testing.assert_array_equal(read([short, blue], 3)[0], [np.minimum(mask, 1), np.maximum(mask, 1)])
    # A number of a file with a palette is ignored, whatever its colour.
    (classes,), _ = read(path, 2, '["#000000", "#ff0000"]', ignore=2)
    np.testing.assert_array_equal(classes, np.array([0, 1, IGNORED])[mask])
    (classes,), _ = read(path, 2, ignore="#008200")
    np.testing.assert_array_equal(classes, np.array([0, 1, IGNORED])[mask])
    # A number beside colours is a gray, whose number in the palette may be another one.
    for values in ('[0, "#ff0000", "#008200"]', '{ground: 0, edge: "#ff0000", cell: [7, "#008200"]}'):
        np.testing.assert_array_equal(read([path, other], 3, values)[0], [mask] * 2)


def test_a_palette_that_is_gray_up_to_some_number(tmp_path):
    """As that of PASCAL VOC: a mask that only uses gray entries is still read by number."""
    colours = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 128]]
    mask = discs(numbered=False) * 3
    path = save(tmp_path / "a.png", palette_image(mask, colours))
    np.testing.assert_array_equal(read(path, 4)[0][0], mask)
