"""Random transforms: paired, inside their bounds, and never a new class."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data import augment
from src.data.normalization import Normalization
from src.data.transforms import resize_classes

STEPS = {
    "flip": augment.flip,
    "crop_and_resize": lambda image, classes, rng: augment.crop_and_resize(image, classes, rng, resize_classes),
    "brightness": augment.brightness,
    "gray_values": augment.gray_values,
    "scale_and_crop": lambda image, classes, rng: augment.scale_and_crop(image, classes, classes.shape, rng,
                                                                          resize_classes),
    "patch": lambda image, classes, rng: augment.patch(image, classes, (min(classes.shape),) * 2, rng),
    "quarter_turns": augment.quarter_turns,
    "elastic": augment.elastic,
}


def pair(height=24, width=32, channels=None, seed=0):
    """An image that shows its classes: class k is drawn as gray k / 2 - 1, in large patches."""
    rng = np.random.default_rng(seed)
    classes = np.kron(rng.integers(0, 5, (height // 8, width // 8)), np.ones((8, 8))).astype(np.uint8)
    image = classes.astype(np.float32) / 2 - 1
    return (image if channels is None else np.repeat(image[..., None], channels, axis=2)), classes


@pytest.mark.parametrize("name", STEPS)
@given(seed=st.integers(0, 2**32 - 1), channels=st.sampled_from([None, 1, 3]))
def test_no_new_class_and_same_shape(name, seed, channels):
    image, classes = pair(channels=channels)
    new_image, new_classes = STEPS[name](image, classes, np.random.default_rng(seed))
    assert new_classes.dtype == np.uint8 and set(np.unique(new_classes)) <= set(np.unique(classes))
    assert new_image.dtype == np.float32 and new_image.shape[:2] == new_classes.shape
    assert new_image.ndim == image.ndim
    assert new_image.min() >= -1.00001 and new_image.max() <= 1.00001


@pytest.mark.parametrize("name", STEPS)
def test_same_seed_same_result(name):
    first, second = (STEPS[name](*pair(), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("name", [name for name in STEPS if name not in ("brightness", "gray_values")])
def test_image_and_classes_move_together(name):
    """Away from the patches' borders, where the image is interpolated, the image still shows its classes."""
    agree = []
    for seed in range(20):
        image, classes = STEPS[name](*pair(64, 64, seed=seed), np.random.default_rng(seed))
        agree.append(np.mean(np.abs(image - (classes.astype(np.float32) / 2 - 1)) < 0.01))
    assert np.mean(agree) > 0.6


def test_flips_are_the_four_ones():
    classes = np.array([[0, 1], [2, 3]], np.uint8)
    seen = {augment.flip(classes.astype(np.float32), classes, np.random.default_rng(seed))[1].tobytes()
            for seed in range(50)}
    assert seen == {bytes(order) for order in ([0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0])}


def test_quarter_turns():
    classes = np.array([[0, 1], [2, 3]], np.uint8)
    seen = {augment.quarter_turns(classes.astype(np.float32), classes, np.random.default_rng(seed))[1].tobytes()
            for seed in range(50)}
    assert seen == {bytes(order) for order in ([0, 1, 2, 3], [1, 3, 0, 2], [3, 2, 1, 0], [2, 0, 3, 1])}
    image, classes = pair(24, 32)
    assert augment.quarter_turns(image, classes, np.random.default_rng(1))[1].shape == (24, 32)


def test_brightness_adds_one_number_of_the_range():
    image = np.zeros((4, 4), np.float32)
    seen = [augment.brightness(image, image, np.random.default_rng(seed))[0] for seed in range(300)]
    assert all(np.ptp(result) == 0 for result in seen)
    values = [result[0, 0] for result in seen]
    assert -0.2 <= min(values) < -0.18 and 0.18 < max(values) <= 0.2


def test_gray_values_are_stretched_about_the_middle():
    image = np.array([[0.25, 0.5, 0.75]], np.float32)
    normalization = Normalization(input_min=0)
    seen = [augment.gray_values(image, image, np.random.default_rng(seed), normalization)[0][0] for seed in range(300)]
    np.testing.assert_allclose([result[2] - result[1] for result in seen], [result[1] - result[0] for result in seen],
                               atol=1e-6)
    steps, middles = [result[1] - result[0] for result in seen], [result[1] for result in seen]
    assert 0.2 <= min(steps) < 0.205 and 0.305 < max(steps) <= 0.3125 + 1e-6
    assert 0.4 - 1e-6 <= min(middles) < 0.405 and 0.595 < max(middles) <= 0.6 + 1e-6


def test_crop_takes_at_most_30_percent_of_a_side():
    """A ramp, resized back to its length: its ends tell what was cut off."""
    ramp = np.tile(np.linspace(0, 1, 100, dtype=np.float32), (100, 1))
    ends = [augment.crop_and_resize(ramp, np.zeros((100, 100), np.uint8), np.random.default_rng(seed),
                                    resize_classes)[0][0, [0, -1]]
            for seed in range(300)]
    left, right = np.transpose(ends)
    assert left.min() < 0.02 and 0.27 < left.max() <= 0.31
    assert right.max() > 0.98 and 0.68 <= right.min() < 0.73


def test_scale_is_at_most_one_and_a_half():
    """The slope of a ramp tells how far it was enlarged."""
    ramp = np.tile(np.arange(60, dtype=np.float32), (60, 1))
    slopes = []
    for seed in range(200):
        image, _ = augment.scale_and_crop(ramp, np.zeros((60, 60), np.uint8), (60, 60), np.random.default_rng(seed),
                                          resize_classes)
        slopes.append((image[30, 50] - image[30, 10]) / 40)
    assert 1 / 1.52 < min(slopes) < 1 / 1.45 and 0.95 < max(slopes) <= 1.001


def test_elastic_displacements():
    """Displacement of a ramp = change of its value: about 10 pixels of standard deviation, and smooth."""
    ramp = np.tile(np.arange(200, dtype=np.float32), (200, 1))
    inner = slice(60, 140)
    shifts = np.stack([augment.elastic(ramp, ramp.astype(np.uint8), np.random.default_rng(seed))[0] - ramp
                       for seed in range(80)])[:, inner, inner]
    assert 7 < shifts[:, 40, 40].std() < 13
    assert np.abs(np.diff(shifts, axis=2)).max() < 1      # nothing folds over


def test_elastic_meets_its_control_points():
    weights = augment._control_weights(101)
    np.testing.assert_allclose(weights[[0, 50, 100]], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
