"""Prediction in windows: however the image is cut, the result is that of the whole image."""
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.transforms import channels_first, to_unit_range
from src.networks.receptive_field import ReceptiveField
from src.tiling.windows import Window, choose_window, count_windows, predict_rows

VALID = ReceptiveField(margin_lost=6, context=0, stride=4)
SAME = ReceptiveField(margin_lost=0, context=8, stride=4)


def mean_around(image, radius):
    """A network of one layer: the mean over (2 radius + 1)^2 pixels by valid convolution, (1, C, h, w) -> NHWC."""
    side = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view(image[0], (side, side), axis=(1, 2))
    return windows.mean(axis=(3, 4), dtype=np.float64).astype(np.float32).transpose(1, 2, 0)[None]


def valid_network(image):
    return mean_around(image, 6)


def same_network(image, radius=8):
    """The same with same convolutions: zeros around the window."""
    return mean_around(np.pad(image, ((0, 0), (0, 0), (radius, radius), (radius, radius))), radius)


def truth(image, radius):
    """The same network on the whole mirrored image, computed only by NumPy."""
    image = image.astype(np.float32) / np.float32(127.5) - 1
    for axis, length in enumerate(image.shape[:2]):
        pads = [(radius, radius) if own == axis else (0, 0) for own in range(3)]
        image = np.pad(image, pads, mode="edge" if length == 1 else "reflect")
    return mean_around(image.transpose(2, 0, 1)[None], radius)[0]


def image_of(height, width, channels=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def on_pixels(network):
    """A network of one image, as ``predict_rows`` calls it."""
    return lambda pixels: np.concatenate([network(channels_first(to_unit_range(window))[None]) for window in pixels])


def predict(image, window, network):
    return np.concatenate(list(predict_rows(image, window, on_pixels(network))))


@settings(max_examples=60)
@given(height=st.integers(1, 70), width=st.integers(1, 70), side=st.sampled_from([16, 20, 28, 44]))
def test_valid_convolutions(height, width, side):
    image = image_of(height, width)
    window = choose_window(VALID, (height, width), side, fixed_size=(side, side))
    np.testing.assert_allclose(predict(image, window, valid_network), truth(image, 6), atol=1e-5)


@pytest.mark.slow
@settings(max_examples=60)
@given(height=st.integers(1, 90), width=st.integers(1, 90), side=st.sampled_from([40, 48, 64, 200]))
def test_same_convolutions(height, width, side):
    """The context is as large as what the network sees, so the zeros around a window do not matter."""
    image = image_of(height, width)
    window = choose_window(SAME, (height, width), side)
    assert max(window.input) <= side and all(value % 4 == 0 for value in window.input)
    np.testing.assert_allclose(predict(image, window, same_network), truth(image, 8), atol=1e-5)


def test_windows_of_the_size_of_the_picture():
    assert choose_window(SAME, (100, 50), 200) == Window((116, 68), (100, 52), 8, 0)
    # 100 rows in cores of at most 48: three of 36; and no window is larger than it has to be.
    window = choose_window(SAME, (100, 50), 64)
    assert window.core == (36, 28) and count_windows((100, 50), window) == 6
    assert choose_window(VALID, (100, 50), 0, fixed_size=(44, 44)) == Window((44, 44), (32, 32), 6, 0)


@given(height=st.integers(1, 300), width=st.integers(1, 300), side=st.integers(1, 250))
def test_no_window_is_larger_than_asked_for(height, width, side):
    window = choose_window(SAME, (height, width), side)
    assert max(window.input) <= max(side, SAME.stride) and all(value % SAME.stride == 0 for value in window.input)


@given(height=st.integers(1, 60), sides=st.lists(st.sampled_from([28, 32, 44, 60]), min_size=2, max_size=2))
def test_valid_convolutions_to_the_last_bit(height, sides):
    """A network that sums whole numbers rounds nothing: two ways to cut give the same bits."""
    image = image_of(height, 50)

    def network(image):
        assert image.dtype == np.float32
        whole = np.rint((image.astype(np.float64) + 1) * 127.5)
        return mean_around(whole, 6) * 169

    windows = [choose_window(VALID, image.shape[:2], 0, fixed_size=(side, side)) for side in sides]
    one, other = (predict(image, window, network) for window in windows)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("side", [4, 8, 12, 16, 24])
def test_windows_smaller_than_the_context(side):
    """They still cover every pixel, and their seams are blended: a constant image stays constant."""
    image = np.full((37, 41, 1), 200, np.uint8)
    window = choose_window(SAME, (37, 41), side)
    result = predict(image, window, lambda image: image.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(result, np.full((37, 41, 1), 200 / 127.5 - 1), atol=1e-6)


def test_blending_is_linear_over_the_overlap():
    """Windows that give 0, 1, 2, ...: the result rises linearly from each to the next."""
    numbers = iter(range(10))
    window = Window((8, 8), (8, 8), 0, 4)
    result = predict(np.zeros((8, 12, 1), np.uint8), window, lambda image: np.full((1, 8, 8, 1), next(numbers), "f4"))
    np.testing.assert_allclose(result[0, :, 0], [0, 0, 0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1, 1, 1])


def test_memory_is_that_of_a_band():
    """Memory holds a few bands of the result of a long image; the whole result would be forty bands."""
    image = np.zeros((4000, 64, 1), np.uint8)
    window = choose_window(SAME, image.shape[:2], 116)
    classes = 8
    tracemalloc.start()
    rows = sum(len(part) for part in predict_rows(image, window, lambda pixels: np.zeros(
        (*pixels.shape[:3], classes), np.float32)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    band = 4 * window.core[0] * image.shape[1] * classes
    assert rows == 4000 and band * 40 <= 4 * image.size * classes
    assert peak < 6 * band, (peak, band)


def test_rows_come_band_by_band():
    image = image_of(100, 30)
    window = choose_window(VALID, (100, 30), 0, fixed_size=(28, 28))
    shapes = [rows.shape for rows in predict_rows(image, window, on_pixels(valid_network))]
    assert shapes == [(16, 30, 2)] * 6 + [(4, 30, 2)]
