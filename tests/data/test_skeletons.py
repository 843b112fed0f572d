"""The skeletons that the loss of gaps takes."""
import numpy as np
import pytest

from src.data.augment import Augmentation
from src.data.border_weights import with_weights
from src.data.class_values import IGNORED
from src.data.sample_transforms import Geometry, StackTransform
from src.data.samples import TrainingOptions, TrainingSamples
from src.data.skeletons import are_needed, skeletons


def test_a_bar_has_a_line_along_its_middle():
    """A bar 9 wide, widened by 2: the five middle rows, far from the ends of the bar; and none outside it."""
    classes = np.full((21, 60), IGNORED, np.uint8)
    classes[6:15, 5:55] = 1
    marked = skeletons(classes)
    assert marked.shape == (1, 21, 60) and marked.dtype == np.float32
    np.testing.assert_array_equal(marked[0, :, 30], [0] * 8 + [1] * 5 + [0] * 8)
    assert not marked[0][classes == IGNORED].any()


def test_each_class_has_its_own_and_stays_within_it():
    """A line of one pixel is its own skeleton, and is not widened into the other class."""
    classes = np.zeros((31, 60), np.uint8)
    classes[15] = 1
    marked = skeletons(classes)[0]
    np.testing.assert_array_equal(np.flatnonzero(marked[:, 30]), [5, 6, 7, 8, 9, 15, 21, 22, 23, 24, 25])


def test_names():
    assert are_needed("skeleton_recall") and are_needed("cross_entropy + skeleton_recall")
    assert not are_needed("cross_entropy+dice")


@pytest.mark.parametrize("border_w0", [0.0, 10.0])
def test_labels_have_the_weights_and_then_the_skeletons(border_w0):
    classes = np.zeros((16, 16), np.uint8)
    classes[4:11] = 1
    reader = [(np.zeros((16, 16), np.uint8), with_weights(classes) if border_w0 else classes)]
    samples = TrainingSamples(reader, [0], StackTransform(Geometry((16, 16), (16, 16))), 2,
                              TrainingOptions(Augmentation(on=False), border_w0=border_w0, skeletons=True))
    label = samples[0][1]
    assert label.shape == samples.label_shape == (4, 16, 16)
    assert (label[2] == 1).all()        # no pixel lies between two objects
    np.testing.assert_array_equal(label[3:], skeletons(classes))
