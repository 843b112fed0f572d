"""Augmentations under a name."""
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.augmentation_policies import POLICIES
from src.data.border_weights import pack_weights
from src.data.samples import create_samples
from src.data.transforms import resize_two_classes
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError


def example(height=40, width=60, channels=3):
    """An image whose red tells the class: 200 where class 1 is, else 50."""
    classes = np.zeros((height, width), np.uint8)
    classes[8:30, 12:40] = 1
    image = np.repeat((50 + 150 * classes)[..., None], channels, axis=2).astype(np.uint8)
    return image, classes


def augmented(policy, seed, size=(40, 40), **kwargs):
    return POLICIES[policy](*example(**kwargs), size, np.random.default_rng(seed), resize_two_classes)


@settings(max_examples=25)
@given(st.sampled_from(sorted(POLICIES)), st.integers(0, 2**32), st.sampled_from([1, 3]))
def test_size_classes_and_pairing(policy, seed, channels):
    """The size asked for, no new class, and the image moves as its classes do."""
    image, classes = augmented(policy, seed, channels=channels)
    assert image.shape == (40, 40, channels) and classes.shape == (40, 40)
    assert image.dtype == np.uint8 == classes.dtype and set(np.unique(classes)) <= {0, 1}
    # Away from the edges of the classes, where the image is interpolated; a small rest or a mirrored corner may be off.
    inside = cv2.erode(classes, np.ones((7, 7))) > 0
    outside = cv2.dilate(classes, np.ones((7, 7))) == 0
    assert not inside.any() or (image[inside] > 125).mean() > 0.9
    assert not outside.any() or (image[outside] < 125).mean() > 0.9


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_a_seed_gives_one_result_and_others_differ(policy):
    results = [augmented(policy, seed, (48, 32))[0].tobytes()
               for seed in (1, 1, *range(2, 20))]
    np.random.seed(3)       # what others draw plays no part
    assert results[0] == results[1] == augmented(policy, 1, (48, 32))[0].tobytes()
    assert len(set(results)) > 5


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_weights_travel_with_the_classes(policy):
    image, classes = example()
    packed = pack_weights(classes, 100 * (1 - classes))
    _, moved = POLICIES[policy](image, packed, (48, 32), np.random.default_rng(0), resize_two_classes)
    # A pixel that becomes background at an edge may have no weight.
    assert moved.dtype == np.uint16 and set(np.unique(moved)) <= {0, 1, 100 << 8} and 100 << 8 in moved


def test_membrane_moves_a_little():
    """At most 5 % of shift and of zoom, and borders are repeated: the frame of the image stays."""
    image, classes = example(100, 100)
    for seed in range(20):
        moved, _ = POLICIES["membrane"](image, classes, (100, 100), np.random.default_rng(seed), resize_two_classes)
        box = np.argwhere(moved[..., 0] > 125)
        assert np.abs(box.min(axis=0)[0] - 8) <= 9 and (moved[0] < 60).all()


def test_options(nuclei, sample):
    argv = [f"--data_path={nuclei}", "--dataset=folders", "--num_channels=3", "--image_size=[32,32]"]
    of_case_study, _ = create_samples(parse_options([*argv, "--augmentation=case_study"], ""))
    plain, _ = create_samples(parse_options([*argv, "--train_augment=False"], ""))
    assert any((of_case_study[p][0] != plain[p][0]).any() for p in range(8))
    with pytest.raises(UNetError, match="augmentation membrane is for image and mask files"):
        create_samples(parse_options([f"--data_path={sample}", "--augmentation=membrane"], ""))


def test_input_range(nuclei, sample):
    for argv in ([f"--data_path={nuclei}", "--dataset=folders", "--num_channels=3", "--image_size=[32,32]"],
                 [f"--data_path={sample}", "--image_size=[96,96]"]):
        signed, _ = create_samples(parse_options(argv, ""))
        unit, valid = create_samples(parse_options([*argv, "--input_range=[0,1]"], ""))
        for position in range(4):
            image = unit[position][0]
            assert image.min() >= 0 and image.max() <= 1
            np.testing.assert_allclose(2 * image - 1, signed[position][0], atol=1e-6)
        assert valid[0][0].min() >= 0
    with pytest.raises(UNetError, match=r"input_range \[0, 255\]: expected \[-1, 1\] or \[0, 1\]"):
        create_samples(parse_options([*argv, "--input_range=[0,255]"], ""))
