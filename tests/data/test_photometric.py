"""Changes of an image's numbers: by hand, and within their bounds."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data import photometric
from src.data.augment import IN_PLACE
from src.data.normalization import Normalization


class Draws:
    """Random numbers that are given; each call of any method takes the next one."""

    def __init__(self, *values):
        self.values = list(values)

    def uniform(self, low=0, high=1):
        return self.values.pop(0)

    random = uniform


def image(*numbers):
    return np.array(numbers, np.float32).reshape(1, -1, 1)


def test_brightness_by_hand():
    found = photometric.brightness(image(-1, 0, 1), Draws(1), low=-1, most=1.25)
    np.testing.assert_allclose(found, image(-1, 0.25, 1.5))


def test_contrast_by_hand():
    """Around the mean, within the extremes."""
    np.testing.assert_allclose(photometric.contrast(image(-1, 0, 0, 1), Draws(-1), most=2), image(-0.5, 0, 0, 0.5))
    found = photometric.contrast(image(-1, 0.25, -0.25, 1), Draws(1), most=2)
    np.testing.assert_allclose(found, image(-1, 0.5, -0.5, 1))


def test_gamma_by_hand():
    draws = Draws(np.log(2)), Draws(np.log(2))
    np.testing.assert_allclose(photometric.gamma(image(0, 2, 4), draws[0]), image(0, 1, 4), atol=1e-6)
    np.testing.assert_allclose(photometric.gamma(image(0, 2, 4), draws[1], inverted=True), image(0, 3, 4), atol=1e-6)
    np.testing.assert_array_equal(photometric.gamma(image(3, 3), Draws(1)), image(3, 3))


def test_low_resolution_by_hand():
    """Half the resolution: pairs of columns become nearly one."""
    columns = np.tile(np.arange(16, dtype=np.float32)[None, :, None], (16, 1, 1))
    found = photometric.low_resolution(columns, Draws(0.5))
    assert found.shape == columns.shape and np.abs(found - columns).max() < 1.5 and (found != columns).any()
    np.testing.assert_allclose(photometric.low_resolution(columns, Draws(1.0)), columns)


def test_noise_has_the_deviation_that_is_drawn():
    found = photometric.noise(np.zeros((200, 200, 1), np.float32), np.random.default_rng(0), 0.2)
    assert 0 < found.std() < 0.2 and abs(found.mean()) < 0.01


@given(st.sampled_from(["strong", "noise", "gray"]), st.sampled_from(["range", "percentile", "zscore"]),
       st.sampled_from([-1, 0]), st.integers(1, 5), st.integers(0, 99))
def test_every_change_keeps_shape_type_and_range(change, mode, input_min, channels, seed):
    normalization = Normalization(mode, input_min=input_min)
    before = np.random.default_rng(seed).uniform(input_min, 1, (16, 12, channels)).astype(np.float32)
    kept = before.copy()
    rng = np.random.default_rng(seed)
    if change == "strong":
        found = photometric.strong(before, rng, normalization)
    else:
        found, _ = IN_PLACE[change](before, before[..., 0], rng, True, normalization)
    assert found.shape == before.shape and found.dtype == np.float32 and np.isfinite(found).all()
    assert (before == kept).all()
    if mode == "range":
        assert found.min() >= input_min and found.max() <= 1


def test_shares_of_the_strong_changes():
    """A quarter stays as it is: 0.9 * 0.8 * 0.85 * 0.85 * 0.75 * 0.9 * 0.7 = 0.25."""
    before = np.random.default_rng(0).uniform(-1, 1, (8, 8, 1)).astype(np.float32)
    normalization = Normalization("percentile")
    same = [(photometric.strong(before, np.random.default_rng(seed), normalization) == before).all()
            for seed in range(1000)]
    assert np.mean(same) == pytest.approx(0.246, abs=0.05)
