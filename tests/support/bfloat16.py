"""Compares convolutions of bfloat16 products with those of float32 ones, on numbers that bfloat16 holds and on others.

``python -m tests.support.bfloat16``: a process of its own, as conftest.py caps the instruction set that oneDNN may use
in the tests' process. Prints whether the processor has units for such products, and for each layer the largest
difference of result and gradients on the one kind of numbers and on the other, which takes AVX-512.
"""
import mindspore as ms
import numpy as np

from src.cpu_ops.build import build_library, has_matrix_units
from src.cpu_ops.layers import OneDnnLayers
from tests.support.operators import convolution, normal, values_and_gradients

# name -> (channels of the input, what makes the layer)
LAYERS = {
    "same": (32, convolution(32, 48, 3, "same", True, False)),
    "valid": (16, convolution(16, 32, 3, "valid", False, False)),
    "even": (32, convolution(32, 16, 2, "same", False, False)),
    "pointwise": (32, convolution(32, 16, 1, "same", False, False)),
    "with_relu": (16, convolution(16, 32, 3, "same", True, True)),
    "transposed": (32, lambda layers: layers.deconv(32, 16, "normal")),
    "image": (3, convolution(3, 16, 3, "same", True, False)),
    "logits": (32, convolution(32, 2, 1, "same", False, False)),
}


def exact(rng, shape):
    """Normal numbers with the 8 leading bits that bfloat16 keeps."""
    bits = normal(rng, shape).astype(np.float32).view(np.uint32)
    return (bits & np.uint32(0xffff0000)).view(np.float32)


def main():
    ms.set_context(mode=ms.GRAPH_MODE)
    library = build_library()
    print("units", int(has_matrix_units(library)))
    both = [OneDnnLayers(library, precision) for precision in ("float32", "bfloat16")]
    for name, (channels, make) in LAYERS.items():
        differences, size = [], None
        for draw in (exact, normal):
            results = []
            for layers in both:
                results.append(values_and_gradients(layers, make, [(2, channels, 13, 18)], draw, draw, size))
                size = results[0][0].shape
            differences.append(max(np.abs(a - b).max() / np.abs(a).max() for a, b in zip(*results)))
        print(name, *differences)


if __name__ == "__main__":
    main()
