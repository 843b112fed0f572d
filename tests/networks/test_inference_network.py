"""The network as evaluation and export see it."""
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.model_utils.errors import UNetError
from src.networks.inference_network import UnetEval, predictor


class Logits(nn.Cell):
    """The image itself as logits."""

    def construct(self, x):
        return ops.identity(x)


class OneLogit(Logits):
    output = "sigmoid"


def test_sigmoid_of_one_channel():
    """(N, 1, h, w) logits -> (N, h, w, 1) float32 probabilities of class 1, also for large logits."""
    logits = np.float32([[0, np.log(3), -np.log(3)], [200, -200, 1]]).reshape(1, 1, 2, 3)
    result = predictor(OneLogit(), "Sigmoid")(logits)
    assert result.shape == (1, 2, 3, 1) and result.dtype == np.float32
    expected = [[0.5, 0.75, 0.25], [1, 0, np.e / (1 + np.e)]]
    np.testing.assert_allclose(result[0, :, :, 0], expected, atol=1e-6)
    half = UnetEval(OneLogit(), "sigmoid")(Tensor(logits.astype(np.float16)))       # in any case, from any precision
    assert half.asnumpy().dtype == np.float32


def test_softmax_and_argmax_of_many_channels():
    logits = np.log(np.float32([0.125, 0.625, 0.25])).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(predictor(Logits(), "Softmax")(logits), [[[[0.125, 0.625, 0.25]]]], atol=1e-6)
    classes = predictor(Logits(), "Argmax")(logits)
    assert classes.tolist() == [[[1]]] and classes.dtype == np.int32


@pytest.mark.parametrize("network, activate, advice", [
    (OneLogit, "Softmax", "set it to Sigmoid"), (OneLogit, "Argmax", "set it to Sigmoid"),
    (Logits, "Sigmoid", "set it to Softmax or Argmax")])
def test_activations_that_do_not_fit(network, activate, advice):
    with pytest.raises(UNetError, match=f"eval_activate {activate} does not fit {network.__name__}; {advice}"):
        UnetEval(network(), activate)
