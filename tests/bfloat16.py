"""Compares convolutions of bfloat16 products with those of float32 ones, on numbers that bfloat16 holds and on others.

A script, as conftest.py caps the instruction set that oneDNN may use in the tests' own process. Prints whether the
processor has units for such products, and for each layer the largest difference of result and gradients on the one
kind of numbers and on the other, which takes AVX-512.
"""
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import ParameterTuple, Tensor, nn, ops

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cpu_ops.build import build_library, has_matrix_units  # noqa: E402
from src.cpu_ops.layers import FastLayers  # noqa: E402

LAYERS = {
    "same": lambda layers: layers.conv(32, 48, 3, "same", True, "normal"),
    "valid": lambda layers: layers.conv(16, 32, 3, "valid", False, "normal"),
    "even": lambda layers: layers.conv(32, 16, 2, "same", False, "normal"),
    "pointwise": lambda layers: layers.conv(32, 16, 1, "same", False, "normal"),
    "with_relu": lambda layers: layers.conv_relu(16, 32, 3, "same", True, "normal")[0],
    "transposed": lambda layers: layers.deconv(32, 16, "normal"),
    "image": lambda layers: layers.conv(3, 16, 3, "same", True, "normal"),
    "logits": lambda layers: layers.conv(32, 2, 1, "same", False, "normal"),
}


class Between(nn.Cell):
    """A layer with NCHW on both sides."""

    def __init__(self, layers, layer):
        super().__init__()
        self.enter, self.leave, self.layer = layers.enter(), layers.leave(), layer

    def construct(self, x):
        return self.leave(self.layer(self.enter(x)))


def numbers(rng, shape, exact):
    """Normal numbers; ``exact``: with the 8 leading bits that bfloat16 keeps."""
    values = rng.normal(size=shape).astype(np.float32)
    return (values.view(np.uint32) & np.uint32(0xffff0000)).view(np.float32) if exact else values


def results(layers, make, exact):
    """The result and the gradients of input and parameters."""
    rng = np.random.default_rng(0)
    part = Between(layers, make(layers))
    parameters = ParameterTuple(part.trainable_params())
    for parameter in parameters:
        parameter.set_data(Tensor(numbers(rng, parameter.shape, exact)))
    channels = next(p for p in parameters if p.name.endswith("weight")).shape
    ins = channels[0] if type(part.layer).__name__ == "_Deconv" else channels[1]
    x = Tensor(numbers(rng, (2, ins, 13, 18), exact))
    y = part(x)
    gradient = ops.GradOperation(get_all=True, get_by_list=True, sens_param=True)(part, parameters)
    (dx,), of_parameters = gradient(x, Tensor(numbers(rng, y.shape, exact)))
    return [tensor.asnumpy() for tensor in (y, dx, *of_parameters)]


def main():
    ms.set_context(mode=ms.GRAPH_MODE)
    library = build_library()
    print("units", int(has_matrix_units(library)))
    both = [FastLayers(library, precision) for precision in ("float32", "bfloat16")]
    for name, make in LAYERS.items():
        differences = [max(np.abs(a - b).max() / np.abs(a).max()
                           for a, b in zip(*(results(layers, make, exact) for layers in both)))
                       for exact in (True, False)]
        print(name, *differences)


if __name__ == "__main__":
    main()
