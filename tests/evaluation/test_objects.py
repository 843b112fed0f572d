"""Objects from probabilities: by hand, and what is always true of them."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label

from src.evaluation.isbi_metrics import segments, v_rand_info
from src.evaluation.objects import ObjectOptions, fill_holes, find_objects, without_rim

COMPONENTS = ObjectOptions(split="components", fill_holes=False)


def two_classes(foreground):
    """(H, W, 2) probabilities of a foreground, 0 to 1."""
    foreground = np.asarray(foreground, np.float32)
    return np.stack([1 - foreground, foreground], axis=-1)


def discs(*centres, radius=8, size=(40, 60)):
    """(H, W) bool, where a disc is."""
    rows, columns = np.mgrid[:size[0], :size[1]]
    return np.any([(rows - row) ** 2 + (columns - column) ** 2 <= radius ** 2 for row, column in centres], axis=0)


def test_threshold_and_components_by_hand():
    """Sides connect, corners do not; a probability at the threshold is background."""
    found = find_objects(two_classes([[0.9, 0.9, 0.2], [0.5, 0.2, 0.6]]), COMPONENTS)
    assert found.labels.tolist() == [[1, 1, 0], [0, 0, 2]] and found.classes.tolist() == [0, 1, 1]
    found = find_objects(two_classes([[0.9, 0.9, 0.2], [0.5, 0.2, 0.6]]), ObjectOptions(0.45, "components"))
    assert found.labels.tolist() == [[1, 1, 0], [1, 0, 2]]


def test_watershed_splits_touching_discs():
    mask = discs((20, 20), (20, 33))
    assert label(mask).max() == 1
    found = find_objects(two_classes(mask), ObjectOptions())
    assert found.labels.max() == 2
    assert found.labels[20, 20] != found.labels[20, 33] and np.array_equal(found.labels > 0, mask)
    assert abs(int((found.labels == 1).sum()) - int((found.labels == 2).sum())) < 20
    assert find_objects(two_classes(mask), ObjectOptions(min_distance=20)).labels.max() == 1


def test_a_boundary_class_gives_the_seeds():
    """The interiors of two flat squares that touch: no distance would split them at a third of the length."""
    mask, interior = np.zeros((2, 20, 50), np.float32)
    mask[5:15, 5:45] = interior[7:13, 7:16] = interior[7:13, 20:43] = 1
    probabilities = np.stack([1 - mask, interior, mask - interior], axis=-1)
    semantic = without_rim(probabilities)
    assert np.array_equal(semantic[..., 1], mask)
    labels = find_objects(semantic, ObjectOptions(), probabilities[..., 1]).labels
    assert labels.max() == 2 and np.array_equal(labels > 0, mask > 0)
    edge = np.flatnonzero(np.diff(labels[10]))[1]
    assert 16 <= edge <= 20


def test_a_region_without_a_seed_is_an_object():
    """A small object near a large one has no peak of its own, and one that is all rim has no interior."""
    mask = discs((20, 20)) | discs((20, 31), radius=1)
    assert find_objects(two_classes(mask), ObjectOptions(min_distance=15)).labels.max() == 2
    assert find_objects(two_classes(mask), ObjectOptions(), np.zeros(mask.shape)).labels.max() == 2


def test_holes():
    """A hole in one object is filled; a bay, a hole at the border and one between two objects stay."""
    labels = np.array([[1, 1, 1, 1, 0, 2, 0],
                       [1, 0, 1, 3, 3, 3, 2],
                       [1, 1, 1, 3, 0, 2, 2],
                       [0, 0, 0, 3, 3, 3, 0]], np.int32)
    filled = labels.copy()
    fill_holes(filled)
    expected = labels.copy()
    expected[1, 1] = 1
    assert np.array_equal(filled, expected)
    ring = discs((20, 20)) & ~discs((20, 20), radius=3)
    assert find_objects(two_classes(ring), ObjectOptions()).labels[20, 20] == 1
    for split in ("watershed", "components"):
        labels = find_objects(two_classes(ring), ObjectOptions(split=split, fill_holes=False)).labels
        assert labels[20, 20] == 0
    large = discs((20, 20), radius=18) & ~discs((20, 20), radius=12)       # the watershed divides such a ring
    assert find_objects(two_classes(large), ObjectOptions(split="components")).labels[20, 20] == 1
    assert find_objects(two_classes(large), ObjectOptions()).labels[20, 20] == 0


def test_small_objects_are_dropped_and_numbers_have_no_gaps():
    foreground = [[1, 0, 1, 1, 0, 1, 1, 1]]
    for size, expected in ((0, [1, 0, 2, 2, 0, 3, 3, 3]), (2, [0, 0, 1, 1, 0, 2, 2, 2]), (4, [0] * 8)):
        found = find_objects(two_classes(foreground), ObjectOptions(split="components", min_size=size))
        assert found.labels.tolist() == [expected] and len(found.classes) == max(expected) + 1


def test_uncertain_objects_are_dropped():
    """By the mean probability of their class, which of several classes need not be the foreground's."""
    foreground = [[0.5, 1.0, 0, 0.625, 0.75, 0, 0.6875]]      # means 0.75, 0.6875, 0.6875
    for least, expected in ((0.6875, 3), (0.7, 1), (0.8, 0)):
        options = ObjectOptions(0.4, "components", min_probability=least)
        found = find_objects(two_classes(foreground), options)
        assert found.labels.max() == expected and len(found.classes) == expected + 1
    probabilities = np.array([[[0, 0.6, 0.4], [1, 0, 0], [0, 0.2, 0.8]]])
    found = find_objects(probabilities, ObjectOptions(split="components", min_probability=0.7))
    assert found.labels.tolist() == [[0, 0, 1]] and found.classes.tolist() == [0, 2]


def test_each_class_has_its_objects():
    """A pixel is of the most likely class but 0, if the foreground is likely enough."""
    probabilities = np.array([[[0.4, 0.35, 0.25], [0.4, 0.2, 0.4], [0.1, 0.0, 0.9], [0.6, 0.4, 0], [0, 1, 0]]])
    found = find_objects(probabilities, COMPONENTS)
    assert found.labels.tolist() == [[1, 3, 3, 0, 2]] and found.classes.tolist() == [0, 1, 1, 2]


@settings(max_examples=50)
@given(arrays(np.float32, (9, 11), elements=st.floats(0, 1, width=32)), st.sampled_from([COMPONENTS, ObjectOptions(
    fill_holes=False, min_distance=1), ObjectOptions(0.3, min_size=3)]))
def test_objects_are_connected_and_fill_the_foreground(foreground, options):
    labels = find_objects(two_classes(foreground), options).labels
    assert set(np.unique(labels)) - {0} == set(range(1, labels.max() + 1))
    for number in range(1, labels.max() + 1):
        assert label(labels == number, connectivity=1).max() == 1
    if not options.fill_holes:
        assert np.array_equal(labels > 0, foreground > options.threshold)


def test_cells_between_membranes_score_as_the_board_does():
    """V_rand of the label image is the board's metric at the threshold."""
    rng = np.random.default_rng(2)
    probability = rng.random((30, 30))
    truth = label(rng.random((30, 30)) > 0.4, connectivity=1)
    labels = find_objects(two_classes(probability), ObjectOptions(0.3, "components", fill_holes=False)).labels
    proposed = probability.astype(np.float32) > 0.3
    assert v_rand_info(truth, segments(labels > 0)) == v_rand_info(truth, segments(proposed))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_smallest_images(size, value):
    assert find_objects(two_classes(np.full(size, value)), ObjectOptions()).labels.max() == value
