"""From stored numbers to the network's input."""
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from src.data.channels import StoredImage
from src.data.normalization import (
    MINMAX,
    PERCENTILE,
    RANGE,
    ZSCORE,
    Normalization,
    extremes,
    mean_and_deviation,
    percentiles,
)
from src.data.transforms import to_unit_range
from src.model_utils.errors import UNetError

LIMITS = {np.dtype(name): (np.iinfo(name).min, np.iinfo(name).max)
          for name in ("uint8", "uint16", "uint32", "int8", "int16", "int32")}
LIMITS |= {np.dtype(name): (0, 1) for name in ("float16", "float32", "float64")}


def images(**finite):
    """Any image of any type."""
    def of(dtype):
        elements = {"min_value": -1000, "max_value": 1000, "allow_nan": False} if dtype.kind == "f" else {}
        return hnp.arrays(dtype, hnp.array_shapes(min_dims=3, max_dims=3, max_side=9), elements=elements or None)
    return st.sampled_from(sorted(LIMITS, key=str)).flatmap(of)


def in_bands(array, rows=2):
    return lambda: (array[top:top + rows] for top in range(0, len(array), rows))


def apply(mode, array, input_min=-1, limits=None, **options):
    normalization = Normalization(mode, input_min=input_min, **options)
    return normalization.apply(StoredImage(array, limits or LIMITS[array.dtype]), "x.tif")


# ---- by hand


@pytest.mark.parametrize("input_min", [-1, 0])
def test_range_leaves_8_bits_to_the_transforms(input_min):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    result = apply(RANGE, pixels, input_min)
    assert result.dtype == np.uint8 and (result == pixels).all()


def test_range_is_that_of_the_bits_in_the_file():
    np.testing.assert_array_equal(apply(RANGE, np.array([[[False], [True]]]), limits=(0, 1))[0, :, 0], [0, 255])
    np.testing.assert_array_equal(apply(RANGE, np.uint8([[[0], [5], [15]]]), limits=(0, 15))[0, :, 0], [0, 85, 255])
    np.testing.assert_allclose(apply(RANGE, np.uint16([[[0], [4095]]]), limits=(0, 4095))[0, :, 0], [-1, 1])
    np.testing.assert_allclose(apply(RANGE, np.uint16([[[0], [13107], [65535]]]), 0)[0, :, 0], [0, 0.2, 1], atol=1e-7)
    np.testing.assert_allclose(apply(RANGE, np.int16([[[-32768], [32767]]]))[0, :, 0], [-1, 1])
    np.testing.assert_allclose(apply(RANGE, np.float32([[[0], [0.25], [1]]]))[0, :, 0], [-1, -0.5, 1])


def test_range_of_16_bits_is_that_of_8_bits():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    np.testing.assert_allclose(apply(RANGE, pixels.astype(np.uint16) * 257), to_unit_range(pixels), atol=1e-6)


def test_range_of_floating_point_numbers_beyond_0_to_1():
    with pytest.raises(UNetError, match=r"x\.tif: floating-point numbers from -0\.5 to 2, and normalize range expects "
                                        r"0 to 1; set normalize to percentile"):
        apply(RANGE, np.float32([[[-0.5], [2]]]))


def test_percentiles_are_mapped_without_cutting():
    pixels = np.arange(101, dtype=np.uint16).reshape(101, 1, 1)
    result = apply(PERCENTILE, pixels, percentiles=(10, 90))[:, 0, 0]
    np.testing.assert_allclose(result[[0, 10, 50, 90, 100]], [-1.25, -1, 0, 1, 1.25], atol=1e-6)


def test_each_channel_has_its_own_statistics():
    pixels = np.stack([np.arange(6), 1000 * np.arange(6), np.full(6, 9)], axis=-1).reshape(2, 3, 3).astype(np.uint16)
    for mode, first in ((MINMAX, -1), (PERCENTILE, -1.0203), (ZSCORE, -1.4638)):
        result = apply(mode, pixels)
        np.testing.assert_allclose(result[..., 0], result[..., 1], atol=1e-6)
        np.testing.assert_allclose(result[0, 0, 0], first, atol=1e-3)
        np.testing.assert_array_equal(result[..., 2], 0)
    np.testing.assert_array_equal(apply(MINMAX, pixels, 0)[..., 2], 0.5)       # a constant channel: the middle
    np.testing.assert_array_equal(apply(ZSCORE, pixels, 0)[..., 2], 0)


def test_a_few_bright_pixels_on_black():
    pixels = np.zeros((100, 100, 1), np.uint16)
    pixels[0, 0] = 900
    result = apply(PERCENTILE, pixels)
    assert (result[0, 0, 0], result[5, 5, 0]) == (1, -1)


@pytest.mark.parametrize(("mode", "middle"), [(PERCENTILE, 0.5), (MINMAX, 0.5), (ZSCORE, 0)])
def test_numbers_that_are_not_finite_count_nowhere(mode, middle):
    pixels = np.linspace(0, 1, 50, dtype=np.float32).reshape(5, 10, 1)
    holes = pixels.copy()
    holes[1, ::2], holes[2, 1] = np.nan, np.inf
    result = apply(mode, holes, 0)
    whole = np.isfinite(holes)
    assert (result[~whole] == middle).all()
    kept = apply(mode, holes[whole].reshape(-1, 1, 1), 0)
    np.testing.assert_allclose(result[whole], kept.ravel(), atol=1e-6)
    assert np.isfinite(apply(mode, np.full((3, 3, 1), np.nan, np.float32))).all()


def test_auto_is_range_for_8_bits():
    normalization = Normalization()
    assert [normalization.mode_for(np.dtype(name)) for name in ("bool", "uint8", "int8", "uint16", "float32")] == \
        [RANGE, RANGE, RANGE, PERCENTILE, PERCENTILE]
    assert Normalization(RANGE).mode_for(np.dtype("uint16")) == RANGE


def test_images_for_people():
    image = np.float32([-2, -1, 0, 1, 2])
    np.testing.assert_array_equal(Normalization(PERCENTILE).to_bytes(image), [0, 0, 128, 255, 255])
    np.testing.assert_array_equal(Normalization(PERCENTILE, input_min=0).to_bytes(image), [0, 0, 0, 255, 255])
    np.testing.assert_array_equal(Normalization(ZSCORE).to_bytes(np.float32([-3, 0, 3, 9])), [0, 128, 255, 255])


# ---- properties


@settings(max_examples=20)
@given(images(), st.sampled_from([MINMAX, PERCENTILE, ZSCORE]), st.sampled_from([-1, 0]), st.integers(1, 4))
def test_bands_give_what_the_whole_image_gives(array, mode, input_min, rows):
    normalization = Normalization(mode, input_min=input_min)
    whole = normalization.apply(StoredImage(array, LIMITS[array.dtype]))
    mapping = normalization.mapping(in_bands(array, rows), array.dtype, LIMITS[array.dtype])
    np.testing.assert_allclose(np.concatenate([mapping(band) for band in in_bands(array, rows)()]), whole, atol=1e-5,
                               rtol=1e-5)
    assert whole.dtype == np.float32 and whole.shape == array.shape and np.isfinite(whole).all()


@given(images())
def test_minmax_fills_the_range(array):
    result = apply(MINMAX, array)
    for channel in range(array.shape[2]):
        own, numbers = result[..., channel], array[..., channel].astype(np.float64)
        if numbers.min() < numbers.max():
            np.testing.assert_allclose([own.min(), own.max()], [-1, 1], atol=1e-6)
            assert own.flat[numbers.argmax()] == own.max() and own.flat[numbers.argmin()] == own.min()
        else:
            assert (own == 0).all()


@settings(max_examples=20)
@given(images())
def test_order_is_kept(array):
    for mode in (MINMAX, PERCENTILE, ZSCORE):
        result = apply(mode, array)
        for channel in range(array.shape[2]):
            order = np.argsort(array[..., channel].astype(np.float64).ravel(), kind="stable")
            assert (np.diff(result[..., channel].ravel()[order]) >= 0).all()


@given(images())
@example(np.array([[[0], [1e-45]]], np.float32))      # the inverse of its deviation is beyond float32
def test_zscore(array):
    result = apply(ZSCORE, array).astype(np.float64)
    for channel in range(array.shape[2]):
        own = result[..., channel]
        assert abs(own.mean()) < 1e-3
        assert np.isclose(own.std(), 1, atol=1e-3) or (own == 0).all()


@settings(max_examples=20)
@given(st.sampled_from(["uint8", "uint16", "int16"]), st.floats(0.1, 40), st.integers(-50, 50), st.integers(0, 99))
def test_brightness_and_contrast_of_the_camera_do_not_matter(dtype, gain, offset, seed):
    """Percentile, minmax and zscore of a * x + b are those of x."""
    pixels = np.random.default_rng(seed).integers(0, 200, (9, 8, 2)).astype(np.float64)
    for mode in (PERCENTILE, MINMAX, ZSCORE):
        np.testing.assert_allclose(apply(mode, pixels.astype(dtype)), apply(mode, gain * pixels + offset), atol=1e-4)


@settings(max_examples=20)
@given(images(), st.lists(st.floats(0, 100), min_size=1, max_size=4), st.integers(1, 4))
def test_percentiles_are_those_of_numpy(array, shares, rows):
    found = percentiles(in_bands(array, rows), array.dtype, shares)
    numbers = array.astype(np.float32).astype(np.float64)
    expected = np.percentile(numbers, shares, axis=(0, 1))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@given(images(), st.integers(1, 4))
def test_other_statistics_are_those_of_numpy(array, rows):
    numbers = array.astype(np.float64)
    np.testing.assert_array_equal(extremes(in_bands(array, rows)), [numbers.min(axis=(0, 1)), numbers.max(axis=(0, 1))])
    mean, deviation = mean_and_deviation(in_bands(array, rows))
    np.testing.assert_allclose(mean, numbers.mean(axis=(0, 1)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(deviation, numbers.std(axis=(0, 1)), rtol=1e-6, atol=1e-6 * (1 + np.abs(mean).max()))
