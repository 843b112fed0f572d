"""The compiled operators as MindSpore operators with gradients. Activations are NHWC, all tensors float32.

Convolutions multiply float32 numbers, or with ``bfloat16`` numbers rounded to it; sums are always float32.

Operators that cost little beside a 3x3 convolution (pooling, 2x2 transposed convolution, concatenation, batch norm, the
convolution of an image) are computed again in the backward pass instead of keeping their results from the forward pass,
which saves a quarter of the memory.
"""
import ctypes

import mindspore as ms
from mindspore import ops

from src.model_utils.processors import usable_processors

SUFFIXES = {"float32": "", "bfloat16": "_bf16"}     # at the end of the C functions' names


def in_order(backward_data, backward_weights):
    """Combine both gradients of a layer into a function (x, w, dy) -> (dx, dw).

    The gradient of the weights is computed first. Then x is no longer needed, and dx can take its memory.
    """
    def gradients(x, w, dy):
        dw = backward_weights(x, dy)
        return backward_data(w, ops.depend(dy, dw)), dw
    return gradients


def _joined_shape(*shapes):
    return shapes[0][0], min(shape[1] for shape in shapes), min(shape[2] for shape in shapes), sum(
        shape[3] for shape in shapes)


def shape_tensors(*inputs):
    """Return three tensors for each x of (N, H, W, C), one after the other: their lengths are H, W and C.

    They tell the operator of a gradient the shape of x. If x itself were passed, it would stay in memory until the
    backward pass.
    """
    tensors = ()
    for x in inputs:
        for length in x.shape[1:]:
            tensors += (ops.zeros(length, ms.float32),)
    return tensors


class Operators:
    """Makes the operators of one compiled library.

    Args:
        library (str): path of the shared library.
    """

    def __init__(self, library):
        self.library = library
        ctypes.CDLL(library).unet_set_threads(usable_processors())
        self._relu_backward = self._aot("relu_backward", lambda y, dy: y)
        self._bias_backward = self._aot("bias_backward", lambda dy: (dy[3],))

    def _aot(self, name, out_shape, outputs=1, bprop=None, variant=""):
        dtype = (lambda *_: ms.float32) if outputs == 1 else (lambda *_: (ms.float32,) * outputs)
        operator = ops.Custom(f"{self.library}:unet_{name}", out_shape, dtype, func_type="aot", bprop=bprop)
        # MindSpore caches inferred shapes by name and attributes: two operators with the same name and different
        # ``out_shape`` would share the result of the first.
        operator.add_prim_attr("variant", variant)
        return operator

    def conv(self, kernel_size, same, relu, has_bias, precision, twice=False):
        """Convolution with stride 1, with ReLU if ``relu``: (x, w[, bias]) -> y.

        x is (N, H, W, in), w (out, in, k, k), y (N, H, W, out), with H and W smaller by k - 1 unless ``same``. With
        ``twice`` y is not kept, but computed again for the gradients.
        """
        margin = 0 if same else kernel_size - 1
        variant, suffix = f"kernel {kernel_size}, margin {margin}", SUFFIXES[precision]
        backward_data = self._aot(f"conv_backward_data{suffix}",
                                  lambda w, dy: (dy[0], dy[1] + margin, dy[2] + margin, w[1]), variant=variant)
        relu_backward, bias_backward = self._relu_backward, self._bias_backward

        def weight_shape(x, dy):
            return dy[3], x[3], kernel_size, kernel_size

        def out_shape(x, w, *_):
            return x[0], x[1] - margin, x[2] - margin, w[0]

        gradients = in_order(backward_data,
                             self._aot(f"conv_backward_weights{suffix}", weight_shape, variant=variant))
        if has_bias:
            def bprop(x, w, bias, out, dout):
                dy = relu_backward(out, dout) if relu else dout
                dx, dw = gradients(x, w, dy)
                return dx, dw, bias_backward(dy)
        else:
            def bprop(x, w, out, dout):  # type: ignore[misc]    # its arguments are those of the operator
                return gradients(x, w, relu_backward(out, dout) if relu else dout)

        operator = self._aot(f"conv{'_relu' if relu else ''}{suffix}", out_shape, bprop=bprop, variant=variant)
        return operator.recompute() if twice else operator

    def deconv(self, precision):
        """Transposed convolution, kernel 2 and stride 2: (x, w) -> y.

        x is (N, H, W, in), w (in, out, 2, 2), y (N, 2H, 2W, out).
        """
        suffix = SUFFIXES[precision]
        backward_data = self._aot(f"deconv_backward_data{suffix}",
                                  lambda w, dy: (dy[0], dy[1] // 2, dy[2] // 2, w[0]))
        gradients = in_order(backward_data,
                             self._aot(f"deconv_backward_weights{suffix}", lambda x, dy: (x[3], dy[3], 2, 2)))

        def bprop(x, w, out, dout):
            return gradients(x, w, dout)

        return self._aot(f"deconv{suffix}", lambda x, w: (x[0], 2 * x[1], 2 * x[2], w[1]), bprop=bprop).recompute()

    def max_pool(self):
        """2x2 maximum with stride 2: (N, H, W, C) -> (N, H/2, W/2, C)."""
        backward = self._aot("max_pool_backward", lambda x, dy: x)

        def bprop(x, out, dout):
            return (backward(x, dout),)

        return self._aot("max_pool", lambda x: (x[0], x[1] // 2, x[2] // 2, x[3]), bprop=bprop).recompute()

    def upsample(self, mode):
        """Upsampling by 2, bilinear or nearest: (N, H, W, C) -> (N, 2H, 2W, C)."""
        backward = self._aot(f"upsample_{mode}_backward", lambda dy: (dy[0], dy[1] // 2, dy[2] // 2, dy[3]))

        def bprop(x, out, dout):
            return (backward(dout),)

        return self._aot(f"upsample_{mode}", lambda x: (x[0], 2 * x[1], 2 * x[2], x[3]), bprop=bprop)

    def concat(self, count):
        """Concatenation of channels: ``count`` (2 to 5) tensors -> y with the least height and width of them.

        The centre is taken of a tensor that is higher or wider.
        """
        def shapes_of_inputs(dy, *sizes):
            return tuple((dy[0], sizes[i][0], sizes[i + 1][0], sizes[i + 2][0]) for i in range(0, len(sizes), 3))

        backward = self._aot("concat_backward", shapes_of_inputs, outputs=count, variant=str(count))

        # MindSpore counts the arguments of a bprop, so each number of inputs needs a function of its own.
        def of_two(a, b, out, dout):
            return backward(dout, *shape_tensors(a, b))

        def of_three(a, b, c, out, dout):
            return backward(dout, *shape_tensors(a, b, c))

        def of_four(a, b, c, d, out, dout):
            return backward(dout, *shape_tensors(a, b, c, d))

        def of_five(a, b, c, d, e, out, dout):
            return backward(dout, *shape_tensors(a, b, c, d, e))

        bprop = {2: of_two, 3: of_three, 4: of_four, 5: of_five}[count]
        return self._aot("concat", _joined_shape, bprop=bprop, variant=str(count)).recompute()

    def moments(self):
        """Mean and biased variance of each channel: (N, H, W, C) -> (C,), (C,). norm_relu includes their gradient."""
        return self._aot("moments", lambda x: ((x[3],), (x[3],)), outputs=2)

    def norm_relu(self):
        """Batch norm in training and ReLU: (x, gamma, beta, mean, variance) -> y, with mean and variance of x."""
        backward = self._aot("norm_relu_backward", lambda x, gamma, beta, mean, variance, dy: (x, gamma, beta),
                             outputs=3)

        def bprop(x, gamma, beta, mean, variance, out, dout):
            dx, dgamma, dbeta = backward(x, gamma, beta, mean, variance, dout)
            return dx, dgamma, dbeta, ops.zeros_like(mean), ops.zeros_like(variance)

        return self._aot("norm_relu", lambda x, *_: x, bprop=bprop).recompute()

    def affine_relu(self):
        """relu(x * scale + shift), channel by channel, without a gradient: (N, H, W, C), (C,), (C,) -> (N, H, W, C)."""
        return self._aot("affine_relu", lambda x, scale, shift: x)
