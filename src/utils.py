"""The network as evaluation and export see it."""
from mindspore import Tensor, nn, ops


class UnetEval(nn.Cell):
    """Network and activation: (N, C, H, W) float32 image -> NHWC result.

    Softmax gives (N, h, w, classes) float32 probabilities, Argmax (N, h, w) int32 class numbers.

    Args:
        net (nn.Cell): gives (N, classes, h, w) logits.
        eval_activate (str): Softmax or Argmax, in any case.
    """

    def __init__(self, net, eval_activate="Softmax"):
        # Without a prefix of its own, or the network's parameters would change their names to net.NAME.
        super().__init__(auto_prefix=False)
        self.net = net
        self.is_softmax = {"softmax": True, "argmax": False}[eval_activate.lower()]

    def construct(self, x):
        out = self.net(x).transpose((0, 2, 3, 1))       # (N, h, w, classes)
        if self.is_softmax:
            return ops.softmax(out.astype("float32"), axis=-1)
        return ops.argmax(out, dim=-1).astype("int32")  # (N, h, w)


def predictor(network, eval_activate):
    """Wrap a network for ``src.evaluation``: a function from NumPy images to NumPy results.

    The network is left in evaluation mode.
    """
    cell = UnetEval(network, eval_activate)

    def predict(images):
        cell.set_train(False)
        return cell(Tensor(images)).asnumpy()

    return predict
