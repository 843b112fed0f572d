"""The network as evaluation and export see it."""
from mindspore import Tensor, nn, ops

from src.model_utils.errors import UNetError


class UnetEval(nn.Cell):
    """Network and activation: (N, C, H, W) float32 image -> NHWC result.

    Softmax gives (N, h, w, classes) float32 probabilities, Argmax (N, h, w) int32 class numbers, and Sigmoid, for a
    network of one output channel, (N, h, w, 1) float32 probabilities of class 1.

    Args:
        net (nn.Cell): gives (N, channels, h, w) logits.
        eval_activate (str): Softmax, Argmax or Sigmoid, in any case.

    Raises:
        UNetError: Sigmoid for a network of many output channels, or another one for a network of one.
    """

    def __init__(self, net, eval_activate="Softmax"):
        # Without a prefix of its own, or the network's parameters would change their names to net.NAME.
        super().__init__(auto_prefix=False)
        self.net = net
        self.activate = eval_activate.lower()
        if (self.activate == "sigmoid") != (getattr(net, "output", "softmax") == "sigmoid"):
            right = "Softmax or Argmax" if self.activate == "sigmoid" else "Sigmoid"
            raise UNetError(f"eval_activate {eval_activate} does not fit {type(net).__name__}; set it to {right}")

    def construct(self, x):
        out = self.net(x).transpose((0, 2, 3, 1))       # (N, h, w, classes)
        if self.activate == "softmax":
            return ops.softmax(out.astype("float32"), axis=-1)
        if self.activate == "sigmoid":
            return ops.sigmoid(out.astype("float32"))   # (N, h, w, 1)
        return ops.argmax(out, dim=-1).astype("int32")  # (N, h, w)


def predictor(network, eval_activate):
    """Wrap a network for ``src.evaluation.evaluate``: a function from NumPy images to NumPy results.

    The network is left in evaluation mode.
    """
    cell = UnetEval(network, eval_activate)

    def predict(images):
        cell.set_train(False)
        return cell(Tensor(images)).asnumpy()

    return predict
