"""Losses, by hand-computed values."""
import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training.losses import (
    CrossEntropyWithLogits,
    DiceLoss,
    FocalLoss,
    LossOptions,
    MultiCrossEntropyWithLogits,
    SkeletonRecall,
    build_loss,
)


def tensor(values):
    return Tensor(np.array(values, np.float32))


# Two pixels, two classes: logits (0, 0) and (ln 3, 0), so probabilities 1/2 and 3/4, 1/4.
LOGITS = [[[[0.0, math.log(3)]], [[0.0, 0.0]]]]      # (1, 2, 1, 2)
LABEL = [[[[1.0, 0.0]], [[0.0, 1.0]]]]               # class 0, class 1
EXPECTED = (math.log(2) + math.log(4)) / 2


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_cross_entropy(mode):
    ms.set_context(mode=mode)
    try:
        assert float(CrossEntropyWithLogits()(tensor(LOGITS), tensor(LABEL))) == pytest.approx(EXPECTED, rel=1e-5)
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)


def test_gradient_is_probability_minus_label_over_the_pixels():
    gradient = ops.GradOperation()(CrossEntropyWithLogits())(tensor(LOGITS), tensor(LABEL)).asnumpy()
    np.testing.assert_allclose(gradient, np.array([[[[-0.5, 0.75]], [[0.5, -0.75]]]]) / 2, atol=1e-6)


def test_deep_supervision_sums_the_heads():
    stacked = tensor([LOGITS, np.zeros_like(LOGITS), LOGITS])
    value = float(MultiCrossEntropyWithLogits()(stacked, tensor(LABEL)))
    assert value == pytest.approx(2 * EXPECTED + math.log(2), rel=1e-5)


def test_large_and_half_precision_logits():
    value = CrossEntropyWithLogits()(tensor([[[[1000.0]], [[0.0]]]]), tensor([[[[0.0]], [[1.0]]]]))
    assert float(value) == pytest.approx(1000)
    half = CrossEntropyWithLogits()(tensor(LOGITS).astype(ms.float16), tensor(LABEL))
    assert half.dtype == ms.float32 and float(half) == pytest.approx(EXPECTED, rel=1e-3)


@pytest.mark.parametrize("argv, expected", [
    (["--model_name=unet_nested", "--use_ds=True"], MultiCrossEntropyWithLogits),
    (["--model_name=unet_nested", "--use_ds=False"], CrossEntropyWithLogits),
    (["--model_name=unet_simple", "--use_ds=True"], CrossEntropyWithLogits)])
def test_build_loss(argv, expected):
    assert isinstance(build_loss(LossOptions.from_config(parse_options(argv, ""))), expected)


# ---- losses for real data; p of the pixels' own classes is 1/2 and 1/4


def test_focal():
    expected = (0.5 ** 2 * math.log(2) + 0.75 ** 2 * math.log(4)) / 2
    assert float(FocalLoss()(tensor(LOGITS), tensor(LABEL))) == pytest.approx(expected, rel=1e-5)


def test_dice():
    # Class 0: p y = 1/2, p^2 = 1/4 + 9/16, y^2 = 1. Class 1: p y = 1/4, p^2 = 1/4 + 1/16, y^2 = 1.
    expected = 1 - (1 / 1.8125 + 0.5 / 1.3125) / 2
    assert float(DiceLoss()(tensor(LOGITS), tensor(LABEL))) == pytest.approx(expected, rel=1e-5)
    # The mean over images, each by itself: a second image that is right has no loss.
    right = [[[40.0, -40.0]], [[-40.0, 40.0]]]
    value = DiceLoss()(tensor([LOGITS[0], right]), tensor([LABEL[0], LABEL[0]]))
    assert float(value) == pytest.approx(expected / 2, rel=1e-5)


def test_dice_of_a_class_that_is_not_there_does_not_count():
    """A third class that the label does not have leaves the mean as it is, but for what it takes from the others."""
    three = [[*LOGITS[0], [[-100.0, -100.0]]]]
    value = DiceLoss()(tensor(three), tensor([[*LABEL[0], [[0.0, 0.0]]]]))
    assert float(value) == pytest.approx(float(DiceLoss()(tensor(LOGITS), tensor(LABEL))), rel=1e-5)


def test_dice_does_not_settle_for_a_large_background():
    """One pixel of 100 is foreground: to leave it out costs half of the loss that there can be."""
    label = np.zeros((1, 2, 10, 10), np.float32)
    label[:, 0] = 1
    label[:, :, 5, 5] = [0, 1]
    background = np.zeros((1, 2, 10, 10), np.float32)
    background[:, 0] = 50
    assert float(DiceLoss()(tensor(background), tensor(label))) == pytest.approx(1 - 198 / 199 / 2, rel=1e-5)


def with_skeleton(label, weights, marked):
    return np.concatenate([np.array(label), [[[weights]]], [[[marked]]]], axis=1)


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_skeleton_recall(mode):
    """The third pixel is of class 0 and has p = 3/4 of it; only the skeletons of a label count."""
    logits = [[[[0.0, math.log(3), math.log(3)]], [[0.0, 0.0, 0.0]]]]
    label = [[[[1.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]]]]
    ms.set_context(mode=mode)
    try:
        def value(weights, marked):
            return float(SkeletonRecall()(tensor(logits), tensor(with_skeleton(label, weights, marked))))

        # Class 0: (1/2 + 3/4) / 2, or 1/2; class 1: 1/4.
        assert value([1, 1, 1], [1, 1, 1]) == pytest.approx(1 - (0.625 + 0.25) / 2, rel=1e-5)
        assert value([1, 1, 1], [1, 1, 0]) == pytest.approx(1 - (0.5 + 0.25) / 2, rel=1e-5)
        # The third pixel weighs three times as much: (1/2 + 3 * 3/4) / 4.
        assert value([1, 1, 3], [1, 1, 1]) == pytest.approx(1 - (0.6875 + 0.25) / 2, rel=1e-5)
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)


def test_skeleton_recall_beside_another_loss():
    """The other loss of a sum takes the weights, and not the skeletons, from the label."""
    label = tensor(with_skeleton(LABEL, [1, 2], [1, 0]))
    config = parse_options(["--loss=cross_entropy+skeleton_recall"], "")
    value = build_loss(LossOptions.from_config(config))(tensor(LOGITS), label)
    # Class 1 has no skeleton in this label, so it does not count.
    assert float(value) == pytest.approx((math.log(2) + 2 * math.log(4)) / 2 + 1 - 0.5, rel=1e-5)


def test_gradient_of_skeleton_recall():
    """Only pixels of a skeleton have one: -p (1 - p), of the only class that has one."""
    label = tensor(with_skeleton(LABEL, [1, 1], [1, 0]))
    gradient = ops.GradOperation()(SkeletonRecall())(tensor(LOGITS), label).asnumpy()
    np.testing.assert_allclose(gradient, [[[[-0.25, 0]], [[0.25, 0]]]], atol=1e-6)


@pytest.mark.parametrize("weights", [None, [2.0, 0.5]])
@pytest.mark.parametrize("loss", [CrossEntropyWithLogits, FocalLoss, DiceLoss])
def test_ignored_pixels_do_not_count(loss, weights):
    """Whatever is predicted there; an image of nothing else does not count either, and has no gradient."""
    rng = np.random.default_rng(0)
    logits, classes = rng.normal(size=(3, 2, 4, 6)), rng.integers(0, 2, (3, 4, 6))
    label = np.stack([classes == number for number in range(2)], axis=1).astype(np.float32)
    label[:, :, :, 3:] = 0      # the right half is ignored, and all of the last image
    label[2] = 0
    function = loss(weights, ignoring=True)
    found = float(function(tensor(logits), tensor(label)))
    assert found == pytest.approx(float(loss(weights)(tensor(logits[:2, :, :, :3]), tensor(label[:2, :, :, :3]))),
                                  rel=1e-5)
    gradient = ops.GradOperation()(function)(tensor(logits), tensor(label)).asnumpy()
    assert np.isfinite(gradient).all() and (gradient[:, :, :, 3:] == 0).all() and (gradient[2] == 0).all()
    assert (gradient[:2, :, :, :3] != 0).all()
    assert float(function(tensor(logits), tensor(0 * label))) == 0


@pytest.mark.parametrize("loss", [CrossEntropyWithLogits, FocalLoss, DiceLoss])
def test_one_output_channel_is_two_classes(loss):
    """x stands for the logits (0, x)."""
    x = np.array([[[[0.0, -math.log(3)]]]], np.float32)
    two = np.concatenate([np.zeros_like(x), x], axis=1)
    assert float(loss()(tensor(x), tensor(LABEL))) == float(loss()(tensor(two), tensor(LABEL)))


def test_binary_cross_entropy():
    """-mean(y ln s + (1 - y) ln(1 - s)) with s = 1/2, 1/4 and y = 0, 1; and where a sigmoid would be 1 in float32."""
    x = tensor([[[[0.0, -math.log(3)]]]])
    assert float(CrossEntropyWithLogits()(x, tensor(LABEL))) == pytest.approx(EXPECTED, rel=1e-5)
    gradient = ops.GradOperation()(CrossEntropyWithLogits())(x, tensor(LABEL)).asnumpy()
    np.testing.assert_allclose(gradient, [[[[0.25, -0.375]]]], atol=1e-6)       # (s - y) / 2
    far = CrossEntropyWithLogits()(tensor([[[[200.0]]]]), tensor([[[[1.0]], [[0.0]]]]))
    assert float(far) == pytest.approx(200)


@pytest.mark.parametrize("loss, expected", [
    (CrossEntropyWithLogits, (3 * math.log(2) + 8 * math.log(4)) / 2),
    (FocalLoss, (3 * 0.25 * math.log(2) + 8 * 0.5625 * math.log(4)) / 2),
    # Class 0: 2 * 3/2 / (3/4 + 8 * 9/16 + 3); class 1: 2 * 8/4 / (3/4 + 8/16 + 8).
    (DiceLoss, 1 - (3 / 8.25 + 4 / 9.25) / 2)])
def test_weights_of_classes_and_pixels(loss, expected):
    """Class weights 3 and 4; the second pixel weighs twice as much."""
    label = np.concatenate([np.array(LABEL), [[[[1.0, 2.0]]]]], axis=1)
    assert float(loss([3, 4])(tensor(LOGITS), tensor(label))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [CrossEntropyWithLogits, FocalLoss, DiceLoss])
def test_gradients_are_finite(loss):
    logits = tensor([[[[300.0, -300.0, 0.0]], [[-300.0, 300.0, 0.0]]]])
    for label in ([[[[1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0]]]], [[[[0.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]]]]):
        assert np.isfinite(ops.GradOperation()(loss())(logits, tensor(label)).asnumpy()).all()


def test_sum_and_weights_of_the_heads():
    config = parse_options(["--model_name=unet_nested", "--loss=cross_entropy + dice", "--ds_weights=[0,0.5,0,2]"], "")
    value = build_loss(LossOptions.from_config(config))(tensor([LOGITS] * 4), tensor(LABEL))
    assert float(value) == pytest.approx(2.5 * (EXPECTED + 1 - (1 / 1.8125 + 0.5 / 1.3125) / 2), rel=1e-5)


@pytest.mark.parametrize("argv, part", [
    (["--loss=cross_entropy+dise"], "'dise' is no loss; known are cross_entropy, dice, focal, skeleton_recall"),
    (["--model_name=unet_nested", "--ds_weights=[1,2]"], "the network has 4 heads; expected a weight for each"),
    (["--model_name=unet_simple", "--ds_weights=[1,2,3,4]"], "the network has 1 head; expected a weight for each")])
def test_refusals(argv, part):
    with pytest.raises(UNetError, match=part):
        build_loss(LossOptions.from_config(parse_options(argv, "")))
