"""Parts of networks on one layer set: their values and gradients, from numbers that are drawn alike."""
import mindspore as ms
import numpy as np
from mindspore import ParameterTuple, Tensor, nn

from src.networks.layers import MINDSPORE


class Between(nn.Cell):
    """A part of a network, with NCHW on both sides."""

    def __init__(self, layers, part):
        super().__init__()
        self.enter, self.leave = layers.enter(), layers.leave()
        self.part = nn.SequentialCell(part) if isinstance(part, list) else part

    def construct(self, *inputs):
        entered = ()
        for x in inputs:
            entered += (self.enter(x),)
        return self.leave(self.part(*entered))


class Weighted(nn.Cell):
    """A scalar of a part's result, so that each value has a gradient of its own; and the result."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def construct(self, weights, *inputs):
        result = self.part(*inputs)
        return (result * weights).sum(), result


def normal(rng, shape):
    return rng.normal(size=shape)


def whole(rng, shape):
    """Whole numbers, a half more for a bias: then no result of a convolution lies so near zero that rounding decides
    whether a ReLU lets its gradient through."""
    return rng.integers(-3, 4, shape) + (0.5 if len(shape) == 1 else 0)


def values_and_gradients(layers, make, shapes, draw=normal, draw_weights=normal, size=None):
    """Of MindSpore's own layers without a graph: to compile it would take longer than to run it.

    ``size`` of the result, where it is known, saves the graph that finds it.
    """
    before = ms.get_context("mode")
    if layers is MINDSPORE:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        return _values_and_gradients(layers, make, shapes, draw, draw_weights, size)
    finally:
        ms.set_context(mode=before)


def _values_and_gradients(layers, make, shapes, draw, draw_weights, size):
    rng = np.random.default_rng(0)
    inputs = [Tensor(draw(rng, shape).astype(np.float32)) for shape in shapes]
    part = Between(layers, make(layers))
    for parameter in part.trainable_params():
        parameter.set_data(Tensor(draw(rng, parameter.shape).astype(np.float32)))
    size = size or part.set_train(False)(*inputs).shape
    part.set_train()
    weights = Tensor(draw_weights(rng, size).astype(np.float32))
    parameters = ParameterTuple(part.trainable_params())
    positions = tuple(range(1, len(inputs) + 1))
    found = ms.value_and_grad(Weighted(part), positions, parameters or None, has_aux=True)(weights, *inputs)
    (_, result), gradients = found
    of_inputs, of_parameters = gradients if len(parameters) else (gradients, ())
    moving = [parameter for parameter in part.get_parameters() if not parameter.requires_grad]
    return [tensor.asnumpy() for tensor in [result, *of_inputs, *of_parameters, *moving]]


def convolution(ins, outs, kernel, pad_mode, has_bias, relu):
    """What makes one, with or without ReLU, of a layer set."""
    return lambda layers: (layers.conv_relu if relu else layers.conv)(ins, outs, kernel, pad_mode, has_bias, "normal")


def results_of_a_step(layers):
    return values_and_gradients(layers, lambda layers: layers.conv_relu(48, 32, 3, "same", True, "normal"),
                                [(2, 48, 37, 30)])


def agree(fast, make, shapes, draw=normal):
    """A part has the same values and gradients in the layer set ``fast`` as in MindSpore's."""
    expected = values_and_gradients(MINDSPORE, make, shapes, draw)
    for mine, stock in zip(values_and_gradients(fast, make, shapes, draw, size=expected[0].shape), expected):
        assert mine.shape == stock.shape
        np.testing.assert_allclose(mine, stock, rtol=1e-5, atol=1e-5 * np.abs(stock).max())
