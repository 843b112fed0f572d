"""Losses, by hand-computed values."""
import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from src.loss import CrossEntropyWithLogits, MultiCrossEntropyWithLogits, build_loss
from src.model_utils.config import parse_options


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
    assert isinstance(build_loss(parse_options(argv, "")), expected)
