"""Geometric transforms of patches: one interpolation, image and classes together."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.warp import Warp, WarpOptions

SIZES = st.tuples(st.integers(2, 12), st.integers(2, 12))
ANGLES = st.floats(0, 6.3)



class Reader:
    """Reads windows of a picture that goes on without end."""

    def __init__(self):
        self.asked = []

    def __call__(self, corner, size):
        self.asked.append((tuple(map(int, corner)), tuple(map(int, size))))
        rows, columns = np.mgrid[corner[0]:corner[0] + size[0], corner[1]:corner[1] + size[1]]
        return np.stack([rows, columns], axis=2).astype(np.float32), ((rows // 4 + columns // 4) % 2).astype(np.uint8)


def shown(warp, size, corner):
    """Where in the picture each pixel of a patch comes from, by the equation of the module."""
    centre = np.array(corner) + (np.array(warp.window_size(size)) - 1) / 2
    points = np.stack(np.mgrid[:size[0], :size[1]], axis=-1) - (np.array(size) - 1) / 2
    if warp.shift is not None:
        points = points + np.moveaxis(warp.shift, 0, -1)
    return points @ warp.matrix.T + centre


@given(SIZES, st.integers(0, 3), st.tuples(st.booleans(), st.booleans()),
       st.tuples(st.integers(-5, 5), st.integers(0, 9)))
def test_turns_and_flips_move_pixels_and_nothing_else(size, turns, flips, corner):
    warp, read = Warp(turns, flips), Reader()
    image, classes = warp.apply(read, corner, size)
    assert image.shape == (*size, 2) and classes.shape == size and warp.is_exact
    np.testing.assert_array_equal(image, np.rint(shown(warp, size, corner)))
    assert read.asked == [(corner, warp.window_size(size))]     # no pixel more than the patch shows


def test_turns_are_those_of_numpy():
    read = Reader()
    window, _ = read((3, 5), (4, 6))
    np.testing.assert_array_equal(Warp(1).apply(read, (3, 5), (6, 4))[0], np.rot90(window))
    np.testing.assert_array_equal(Warp(3, (True, False)).apply(read, (3, 5), (6, 4))[0], np.rot90(window, 3)[::-1])
    np.testing.assert_array_equal(Warp(0, (False, True)).apply(read, (3, 5), (4, 6))[0], window[:, ::-1])


@given(SIZES, st.floats(0.5, 2), ANGLES, st.integers(0, 3), st.booleans(), st.integers(0, 99))
def test_one_interpolation_shows_what_the_equation_says(size, scale, angle, turns, flip, seed):
    """A plane is interpolated without error, but for OpenCV's 32 steps between two pixels."""
    shift = np.random.default_rng(seed).normal(0, 3, (2, *size)).astype(np.float32)
    warp = Warp(turns, (flip, False), scale, angle, shift)
    image, classes = warp.apply(Reader(), (40, 30), size)
    places = shown(warp, size, (40, 30))
    np.testing.assert_allclose(image, places, atol=1 / 16)
    # The class is that of the nearest pixel; where two are as near, of either.
    fraction = places - np.floor(places)
    clear = (np.abs(fraction - 0.5) > 0.05).all(axis=-1)
    rows, columns = np.moveaxis(np.rint(places).astype(int), -1, 0)
    np.testing.assert_array_equal(classes[clear], ((rows // 4 + columns // 4) % 2)[clear])


def test_scale_2_by_hand():
    """Objects are twice as large: the patch shows half as much of the image."""
    image, _ = Warp(scale=2.0).apply(Reader(), (10, 20), (4, 4))
    np.testing.assert_allclose(image[:, 0, 0], [10.75, 11.25, 11.75, 12.25])
    np.testing.assert_allclose(image[0, :, 1], [20.75, 21.25, 21.75, 22.25])


def test_an_angle_of_90_degrees_is_a_quarter_turn():
    turned, _ = Warp(1).apply(Reader(), (4, 8), (8, 8))
    image, _ = Warp(angle=np.pi / 2).apply(Reader(), (4, 8), (8, 8))
    np.testing.assert_allclose(image, turned, atol=1 / 16)


def test_images_of_any_number_of_channels_and_bytes():
    def read(corner, size):
        return np.full((*size, 7), 100, np.uint8), np.full(size, 2 << 8 | 1, np.uint16)      # classes with weights
    image, classes = Warp(scale=0.8, angle=1.0).apply(read, (0, 0), (16, 8))
    assert image.shape == (16, 8, 7) and (image == 100).all() and image.dtype == np.uint8
    assert (classes == 2 << 8 | 1).all() and classes.dtype == np.uint16


# ---- what is drawn


def draw(seeds=400, size=(16, 16), **options):
    return [Warp.draw(WarpOptions(**options), size, np.random.default_rng(seed)) for seed in range(seeds)]


def test_nothing_is_drawn_without_options():
    assert all(warp == Warp() for warp in draw(5))


def test_ranges_of_what_is_drawn():
    warps = draw(flip=True, rot90=True, scale=(0.7, 1.4), rotate=True, elastic=5.0)
    scales, angles = [warp.scale for warp in warps], [warp.angle for warp in warps]
    assert 0.7 <= min(scales) < 0.72 and 1.37 < max(scales) <= 1.4
    assert np.mean(np.log(scales)) == pytest.approx(np.mean(np.log([0.7, 1.4])), abs=0.03)     # as often half as double
    assert 0 <= min(angles) < 0.1 and 6.2 < max(angles) < 6.3
    assert {warp.turns for warp in warps} == {0, 1, 2, 3}
    assert {warp.flips for warp in warps} == {(a, b) for a in (True, False) for b in (True, False)}
    assert np.std([warp.shift[:, 0, 0] for warp in warps]) == pytest.approx(5.0, rel=0.1)


def test_shares_of_what_is_drawn():
    warps = draw(1000, scale=(0.7, 1.4), scaled=0.2, rotate=True, rotated=0.5, elastic=4.0, deformed=0.1)
    for share, found in ((0.2, [warp.scale != 1 for warp in warps]), (0.5, [warp.angle != 0 for warp in warps]),
                         (0.1, [warp.shift is not None for warp in warps])):
        assert np.mean(found) == pytest.approx(share, abs=0.05)
