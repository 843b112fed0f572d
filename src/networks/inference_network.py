"""The network as evaluation, prediction and export use it: with its activation, channels last."""
from collections.abc import Callable

import numpy as np
from mindspore import Tensor, nn, ops

from src.networks.registry import check_activation


class UnetEval(nn.Cell):
    """A network with its activation: (N, C, H, W) float32 images -> results with the channels last.

    Softmax gives (N, h, w, classes) float32 probabilities, and Argmax (N, h, w) int32 class numbers. Sigmoid is for
    networks of one output channel and gives (N, h, w, 1) float32 probabilities of class 1.

    Args:
        net: gives (N, channels, h, w) logits.
        eval_activate: Softmax, Argmax or Sigmoid, in upper or lower case.

    Raises:
        UNetError: Sigmoid for a network of many output channels, or another activation for a network of one.
    """

    def __init__(self, net: nn.Cell, eval_activate: str = "Softmax"):
        # With a prefix, the network's parameters would be called net.NAME.
        super().__init__(auto_prefix=False)
        self.net = net
        self.activate = eval_activate.lower()
        check_activation(getattr(net, "output", "softmax"), eval_activate, type(net).__name__)

    def construct(self, x):
        return self.activated(self.net(x))

    def activated(self, logits: Tensor) -> Tensor:
        """Apply the activation to (N, classes, h, w) logits, and put the channels last."""
        out = logits.transpose((0, 2, 3, 1))            # (N, h, w, classes)
        if self.activate == "softmax":
            return ops.softmax(out.astype("float32"), axis=-1)
        if self.activate == "sigmoid":
            return ops.sigmoid(out.astype("float32"))   # (N, h, w, 1)
        return ops.argmax(out, dim=-1).astype("int32")  # (N, h, w)


def predictor(network: nn.Cell, eval_activate: str) -> Callable[[np.ndarray], np.ndarray]:
    """Make a predictor of a network, for ``src.evaluation.evaluate``: see ``UnetEval``, with NumPy arrays.

    Each call leaves the network in evaluation mode.
    """
    cell = UnetEval(network, eval_activate)

    def predict(images):
        cell.set_train(False)
        return cell(Tensor(images)).asnumpy()

    return predict
