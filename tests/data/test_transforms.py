"""Deterministic transforms, by hand-computed values."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data import border_weights, transforms
from src.data.class_values import IGNORED
from src.data.transforms import label_resize, one_hot


def test_unit_range():
    result = transforms.to_unit_range(np.array([[0, 255], [51, 102]], np.uint8))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[-1, 1], [-0.6, -0.2]], atol=1e-6)


def test_resize_image_is_bilinear():
    image = np.array([[0.0, 4.0]], np.float32)
    np.testing.assert_allclose(transforms.resize_image(image, (1, 4)), [[0, 1, 3, 4]])
    assert transforms.resize_image(np.zeros((4, 6, 1), np.uint8), (8, 3)).shape == (8, 3, 1)


def test_two_classes_are_cut_at_one_half():
    classes = np.array([[0, 1]], np.uint8)
    # Bilinear: 0, 0.25, 0.75, 1.
    assert transforms.resize_two_classes(classes, (1, 4)).tolist() == [[0, 0, 1, 1]]


def test_the_number_of_classes_decides_how_labels_are_resized():
    """Two classes are read at the centres 1 and 4, as images are; more take the largest share."""
    thin = np.array([[0, 1, 0, 1, 1, 0]], np.uint8)     # the shares of 1 are 1/3 and 2/3
    assert transforms.label_resize(2)(thin, (1, 2)).tolist() == [[1, 1]]
    assert transforms.label_resize(3)(thin, (1, 2)).tolist() == [[0, 1]]


def test_a_smaller_mask_takes_the_class_that_covers_most():
    classes = np.array([[7, 7, 0, 9], [7, 0, 0, 0], [1, 2, 3, 3], [2, 1, 3, 0]], np.uint8)
    resized = transforms.resize_classes(classes, (2, 2))
    assert resized.dtype == np.uint8 and resized.tolist() == [[7, 0], [1, 3]]      # of 1 and 2, the lower one
    # Each result is two thirds 5 and one third 0.
    assert transforms.resize_classes(np.array([[5, 0, 5]], np.uint8), (1, 2)).tolist() == [[5, 5]]
    assert transforms.resize_classes(np.array([[4, 9]], np.uint8), (1, 4)).tolist() == [[4, 4, 9, 9]]


def test_a_mask_that_shrinks_in_one_direction_and_grows_in_the_other():
    classes = np.array([[3, 3, 8, 3], [8, 3, 8, 8]], np.uint8)
    assert transforms.resize_classes(classes, (4, 2)).tolist() == [[3, 3], [3, 3], [3, 8], [3, 8]]


def test_weights_keep_to_their_classes():
    packed = border_weights.pack_weights(np.array([[0, 0, 1, 1]], np.uint8), np.array([[9, 9, 0, 0]], np.uint8))
    for resize in (transforms.resize_classes, transforms.resize_two_classes):
        classes, weights = border_weights.split_weights(resize(packed, (1, 2)))
        assert classes.tolist() == [[0, 1]] and weights.tolist() == [[9, 0]]


def test_weights_of_rims_are_resized_too():
    """Objects that touch have no background between them, so their weights are those of class 2."""
    classes, weights = np.array([[1, 2, 2, 1]], np.uint8), np.array([[0, 8, 9, 0]], np.uint8)
    packed = border_weights.pack_weights(classes, weights)
    for size, expected in (((1, 4), ([[1, 2, 2, 1]], [[0, 8, 9, 0]])), ((2, 8), ([[1, 1, 2, 2, 2, 2, 1, 1]] * 2,
                                                                               [[0, 0, 8, 8, 9, 9, 0, 0]] * 2))):
        found = border_weights.split_weights(transforms.resize_classes(packed, size))
        assert tuple(part.tolist() for part in found) == expected


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_resized_classes_are_a_subset(height, width, seed):
    classes = np.random.default_rng(seed).integers(0, 5, (7, 9), dtype=np.uint8)
    resized = transforms.resize_classes(classes, (height, width))
    assert resized.shape == (height, width) and set(np.unique(resized)) <= set(np.unique(classes))
    binary = transforms.resize_two_classes(classes % 2, (height, width))
    assert binary.shape == (height, width) and set(np.unique(binary)) <= set(np.unique(classes % 2))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
def test_cropping_undoes_padding(height, width, more_height, more_width):
    array = np.arange(height * width, dtype=np.float32).reshape(height, width) + 1
    padded = transforms.pad_to(array, (height + more_height, width + more_width))
    assert padded.shape == (height + more_height, width + more_width) and padded.sum() == array.sum()
    np.testing.assert_array_equal(transforms.center_crop(padded, array.shape), array)


def test_padding_keeps_channels():
    assert transforms.pad_to(np.ones((2, 3, 4)), (4, 4)).shape == (4, 4, 4)


def test_one_hot():
    result = transforms.one_hot(np.array([[0, 2]], np.uint8), 3)
    assert result.dtype == np.float32
    assert result.tolist() == [[[1, 0]], [[0, 0]], [[0, 1]]]


@pytest.mark.parametrize("shape, expected", [((2, 3), (1, 2, 3)), ((2, 3, 4), (4, 2, 3))])
def test_channels_first(shape, expected):
    image = np.arange(np.prod(shape)).reshape(shape)
    result = transforms.channels_first(image)
    assert result.shape == expected and result.flags["C_CONTIGUOUS"]
    assert result[0, 1, 2] == np.atleast_3d(image)[1, 2, 0]


@pytest.mark.parametrize("size", [(24, 24), (40, 56), (112, 80)])
def test_labels_lie_where_their_images_do(size):
    """Resizing commutes with flips, and a disc of classes stays where the disc of the image is."""
    rows, columns = np.mgrid[:64, :64]
    disc = np.uint8((rows - 20) ** 2 + (columns - 36) ** 2 < 15 ** 2)
    resized = transforms.resize_classes(disc, size)
    both = slice(None, None, -1), slice(None, None, -1)
    assert (transforms.resize_classes(np.ascontiguousarray(disc[both]), size)[both] != resized).mean() < 0.02
    image = transforms.resize_image(disc.astype(np.float32), size)
    for axis in (0, 1):
        along = np.arange(size[axis]).reshape((-1, 1) if axis == 0 else (1, -1))
        assert (resized * along).sum() / resized.sum() == pytest.approx((image * along).sum() / image.sum(), abs=0.15)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([2, 3]), st.integers(0, 2**32 - 1))
def test_ignored_pixels_are_resized_to_ignored_pixels(height, width, num_classes, seed):
    """They appear where they are nearest, and change nothing that is far from them."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, num_classes, (16, 16)).astype(np.uint8)
    resize = label_resize(num_classes)
    plain = resize(classes, (height, width))
    classes[:8] = IGNORED
    resized = resize(classes, (height, width))
    assert set(np.unique(resized)) <= {*range(num_classes), IGNORED}
    centre = (np.arange(height) + 0.5) * 16 / height        # of each row, in the rows of the original
    if num_classes == 2:
        assert (resized[centre < 7.9] == IGNORED).all() and (resized[centre > 8.1] != IGNORED).all()
    below = slice(-(-height * 10 // 16), None)
    np.testing.assert_array_equal(resized[below], plain[below])
    assert (one_hot(resized, num_classes).sum(axis=0) == (resized != IGNORED)).all()
