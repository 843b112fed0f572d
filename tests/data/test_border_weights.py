"""The weight map between objects, and its way through the transforms."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.border_weights import border_map, pack_weights, pixel_weights, split_weights
from src.data.boundary import EDGE, INTERIOR, boundary_classes
from src.data.class_values import IGNORED
from src.data.samples import create_samples
from src.model_utils.config import parse_options


def two_squares(gap):
    classes = np.zeros((40, 40), np.uint8)
    classes[10:20, 5:15] = 1
    classes[10:20, 15 + gap:25 + gap] = 1
    return classes


def test_between_two_objects():
    """A gap of three pixels: in each of them the two distances add up to 4."""
    weights = border_map(two_squares(3))
    np.testing.assert_allclose(weights[12:18, 15:18], math.exp(-16 / 50), rtol=1e-5)
    # Above the left square's middle column: 1 to the one, to the other sqrt(8^2 + 1).
    assert weights[9, 10] == pytest.approx(math.exp(-(1 + math.sqrt(65)) ** 2 / 50), rel=1e-5)
    assert (weights[10:20, 5:15] == 0).all() and weights.dtype == np.float32


def test_one_object_has_no_border():
    classes = np.zeros((30, 30), np.uint8)
    classes[5:9, 5:9] = 1
    assert (border_map(classes) == 0).all() and (border_map(np.zeros((5, 5), np.uint8)) == 0).all()


def test_objects_of_two_classes_and_touching_corners():
    classes = np.zeros((12, 12), np.uint8)
    classes[2:6, 2:6], classes[6:10, 6:10] = 1, 1
    assert border_map(classes)[5, 6] == pytest.approx(math.exp(-4 / 50), rel=1e-5)     # 1 to either square
    classes = np.zeros((12, 12), np.uint8)
    classes[2:6, 2:6], classes[2:6, 6:10] = 1, 2
    assert border_map(classes)[6, 5] == pytest.approx(math.exp(-(1 + math.sqrt(2)) ** 2 / 50), rel=1e-5)


@given(st.integers(0, 2**32 - 1))
def test_the_map_is_the_equation(seed):
    """Against distances counted pixel by pixel, up to what is left out far from the objects."""
    rng = np.random.default_rng(seed)
    classes = np.zeros((48, 48), np.uint8)
    for number in range(3):
        top, left = rng.integers(0, 40, 2)
        classes[top:top + 4, left:left + 4] = number % 2 + 1
    from scipy import ndimage

    objects = []
    for value in (1, 2):
        labels, count = ndimage.label(classes == value)
        objects += [np.argwhere(labels == index) for index in range(1, count + 1)]
    weights = border_map(classes)
    for y, x in rng.integers(0, 48, (20, 2)):
        distances = sorted(np.sqrt(((points - (y, x)) ** 2).sum(axis=1)).min() for points in objects)
        expected = 0 if classes[y, x] or len(distances) < 2 else math.exp(-(distances[0] + distances[1]) ** 2 / 50)
        assert weights[y, x] == pytest.approx(expected, abs=0.002)


def test_weights_are_packed_and_split():
    classes, border = np.array([[0, 1, 254]], np.uint8), np.array([[255, 0, 7]], np.uint8)
    again = split_weights(pack_weights(classes, border))
    np.testing.assert_array_equal(again[0], classes)
    np.testing.assert_array_equal(again[1], border)
    assert split_weights(classes)[0] is classes and split_weights(classes)[1] is None
    np.testing.assert_allclose(pixel_weights(border, 10)[0, 0], [11, 1, 1 + 70 / 255])


@pytest.mark.parametrize("argv", [
    ["--image_size=[96,96]"], ["--image_size=[188,188]", "--crop=[92,92]"],
    ["--image_size=[96,96]", "--train_crop=48", "--augment_elastic=True", "--augment_rot90=True"]])
def test_samples_with_weights(sample, argv):
    """Image and label are what they are without weights; weights lie on the background alone."""
    argv = [f"--data_path={sample}", *argv]
    plain, _ = create_samples(parse_options(argv, ""))
    weighted, valid = create_samples(parse_options([*argv, "--border_weight=True"], ""))
    third, _ = create_samples(parse_options([*argv, "--border_weight=True", "--border_w0=3.3333333"], ""))
    for position in (0, 5, 13):
        (image, label), (same, more) = plain[position], weighted[position]
        np.testing.assert_array_equal(image, same)
        np.testing.assert_array_equal(label, more[:2])
        np.testing.assert_allclose(3 * (third[position][1][2] - 1), more[2] - 1, atol=1e-5)
        assert more.shape == (3, *label.shape[1:]) == weighted.label_shape and more.dtype == np.float32
        # Resizing cuts classes more finely than it moves weights, so that they meet at the edges.
        assert more[2].min() == 1 and 2 < more[2].max() <= 11
        assert (more[2] * label[0]).sum() / label[0].sum() > 1.2 > (more[2] * label[1]).sum() / label[1].sum()
    assert valid[0][1].dtype == np.uint8


def test_maps_count_into_the_memory_for_samples(nuclei):
    """Images of 40x48 with 3 bytes a pixel, classes and maps with 1 each: 9600 bytes a sample."""
    argv = [f"--data_path={nuclei}", "--dataset=folders", "--num_channels=3", "--border_weight=True"]
    samples, _ = create_samples(parse_options(argv, ""))
    samples.reader.cache.free = 3 * 9600
    kept = [samples.reader[index][1] is samples.reader[index][1] for index in samples.indices]
    assert kept == [True] * 3 + [False] * 5 and samples.reader.cache.free == 0


def test_folders_with_weights(nuclei):
    argv = [f"--data_path={nuclei}", "--dataset=folders", "--num_channels=3", "--image_size=[32,32]"]
    plain, _ = create_samples(parse_options(argv, ""))
    weighted, _ = create_samples(parse_options([*argv, "--border_weight=True"], ""))
    for position in range(8):
        np.testing.assert_array_equal(plain[position][1], weighted[position][1][:2])


def test_ignored_pixels_and_numbers_of_objects():
    """Ignored pixels are no objects and have no weight; touching objects are told apart by their numbers."""
    classes = two_squares(3)
    expected = border_map(classes)
    classes[0], expected[0] = IGNORED, 0
    np.testing.assert_array_equal(border_map(classes), expected)
    touching, numbers = two_squares(0), np.zeros((40, 40), np.int32)
    numbers[10:20, 5:15], numbers[10:20, 15:25] = 300, 7
    assert border_map(touching).max() == 0
    assert border_map(touching, numbers)[9, 14] == pytest.approx(math.exp(-(1 + math.sqrt(2)) ** 2 / 50), rel=1e-5)


def test_rims_where_objects_touch():
    """Two squares side by side: their rims weigh most where they touch, and nothing inside or far from the other."""
    objects = two_squares(0)
    objects[10:20, 15:25] = 2
    rims = boundary_classes((objects > 0).astype(np.uint8), objects)
    weights = border_map(rims, objects, has_rim=True)
    assert (weights[rims == INTERIOR] == 0).all() and weights[15, 10] == 0
    # In the last column of the left square the right one is 1 pixel away, in the column before it 2.
    np.testing.assert_allclose(weights[14, 13:17], [math.exp(-distance ** 2 / 50) for distance in (2, 1, 1, 2)],
                               rtol=1e-5)
    assert rims[14, 5] == EDGE and weights[14, 5] == pytest.approx(math.exp(-100 / 50), rel=1e-5)
    np.testing.assert_array_equal(weights[objects == 0], border_map(objects, objects)[objects == 0])
    assert (border_map((objects > 0).astype(np.uint8), objects)[objects > 0] == 0).all()
