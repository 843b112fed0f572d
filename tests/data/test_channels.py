"""From the bands of a file to the channels of a network."""
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.channels import Channels
from src.data.image_reader import read_image
from src.model_utils.errors import UNetError

GRAY = np.arange(12 * 9, dtype=np.uint8).reshape(12, 9)
COLOUR = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=-1)       # red, green, blue
FOUR = np.dstack([COLOUR, GRAY // 3])


def read(path, count, picked=()):
    return read_image(path, Channels(count, picked)).pixels


def save(path, array, **options):
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, **options)
    else:
        Image.fromarray(array).save(path)
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_gray_and_colour_as_ever(tmp_path, ending):
    gray, colour = save(tmp_path / f"g.{ending}", GRAY), save(tmp_path / f"c.{ending}", COLOUR)
    np.testing.assert_array_equal(read(gray, 1), GRAY[..., None])
    np.testing.assert_array_equal(read(gray, 3), np.stack([GRAY] * 3, axis=-1))
    np.testing.assert_array_equal(read(colour, 3), COLOUR[..., ::-1])      # blue, green, red
    np.testing.assert_array_equal(read(colour, 1)[..., 0], np.asarray(Image.fromarray(COLOUR).convert("L")))


def test_luminance_of_16_bits(tmp_path):
    colour = COLOUR.astype(np.uint16) * 257
    found = read(save(tmp_path / "a.tif", colour, photometric="rgb"), 1)
    assert found.dtype == np.uint16
    np.testing.assert_allclose(found[..., 0] / 257, np.asarray(Image.fromarray(COLOUR).convert("L")), atol=1)


def test_bands_in_their_order(tmp_path):
    path = save(tmp_path / "a.tif", FOUR, photometric="minisblack", planarconfig="contig")
    np.testing.assert_array_equal(read(path, 4), FOUR)
    np.testing.assert_array_equal(read(path, 3, (2, 1, 0)), FOUR[..., [2, 1, 0]])
    np.testing.assert_array_equal(read(path, 1, (3,)), FOUR[..., 3:])
    np.testing.assert_array_equal(read(path, 4, (3, 3, 0, 1)), FOUR[..., [3, 3, 0, 1]])
    two = save(tmp_path / "two.tif", FOUR[..., :2], photometric="minisblack", planarconfig="contig")
    np.testing.assert_array_equal(read(two, 2), FOUR[..., :2])


def test_colours_and_a_fourth_band(tmp_path, caplog):
    caplog.set_level("INFO", "unet")
    path = save(tmp_path / "a.tif", FOUR, photometric="rgb", extrasamples=["unspecified"])
    np.testing.assert_array_equal(read(path, 4), FOUR)
    assert not caplog.text
    np.testing.assert_array_equal(read(path, 3), COLOUR[..., ::-1])
    assert "a.tif: 4 channels; num_channels 3 uses only red, green and blue, and --channels picks others" in caplog.text


def test_alpha(tmp_path, caplog):
    caplog.set_level("INFO", "unet")
    path = save(tmp_path / "a.png", FOUR)
    np.testing.assert_array_equal(read(path, 3), COLOUR[..., ::-1])
    read(path, 1)
    assert caplog.text.count("the alpha channel, which is not the same everywhere, is left out") == 1
    np.testing.assert_array_equal(read(path, 4, (0, 1, 2, 3)), FOUR)       # asked for by its number
    with pytest.raises(UNetError, match=r"a\.png: 3 channels \(and alpha\), num_channels is 4; .*pick channels"):
        read(path, 4)


def test_constant_alpha_is_not_worth_a_word(tmp_path, caplog):
    caplog.set_level("INFO", "unet")
    read(save(tmp_path / "a.png", np.dstack([COLOUR, np.full_like(GRAY, 255)])), 3)
    assert not caplog.text


@pytest.mark.parametrize(("bands", "count", "picked", "words"), [
    (1, 4, (), "1 channel, num_channels is 4; give images of 4 channels, or train with the num_channels that"),
    (2, 1, (), r"2 channels, num_channels is 1; name those to use, such as --channels=\[0\], or train with"),
    (5, 3, (), r"5 channels, num_channels is 3; name those to use, such as --channels=\[0, 1, 2\]"),
    (2, 3, (), "2 channels, num_channels is 3"),
    (4, 2, (0, 4), r"4 channels, and channels \[0, 4\] asks for number 4")])
def test_too_few_and_too_many(tmp_path, bands, count, picked, words):
    array = np.repeat(GRAY[..., None], bands, axis=2)
    path = save(tmp_path / "a.tif", array if bands > 1 else GRAY, photometric="minisblack",
                planarconfig="contig" if bands > 1 else None)
    with pytest.raises(UNetError, match=rf"a\.tif: {words}"):
        read(path, count, picked)


def test_as_many_are_picked_as_the_network_takes():
    with pytest.raises(UNetError, match=r"channels \[3, 2, 1\] names 3 channels, num_channels is 4"):
        Channels(4, (3, 2, 1))


def test_a_page_that_is_not_there(tmp_path):
    with pytest.raises(UNetError, match="1 pages found, page 3"):
        read_image(save(tmp_path / "a.tif", GRAY), Channels(1), 3)
