"""The layers of ``src.networks.layers`` on the compiled operators: NHWC inside, with the same parameters."""
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import initializer

from src.cpu_ops.ops import Operators
from src.networks.layers import MOMENTUM, Layers, Trim

EPSILON = 1e-5      # of nn.BatchNorm2d; also in csrc/elementwise.cc

# Most channels of an image. A convolution of so few channels costs next to nothing, but its result is among the largest
# of the network, so it is computed again instead of kept.
IMAGE_CHANNELS = 3

# Layers with fewer input or output channels, such as those of the image and of the logits, always multiply in float32:
# they cost next to nothing, and stay exact.
LEAST_CHANNELS_OF_BFLOAT16 = 16


class _Conv(nn.Cell):
    def __init__(self, operators, precision, in_channels, out_channels, kernel_size, pad_mode, has_bias, weight_init,
                 relu=False):
        super().__init__()
        self.weight = Parameter(initializer(weight_init, (out_channels, in_channels, kernel_size, kernel_size)),
                                name="weight")
        self.has_bias = has_bias
        if has_bias:
            self.bias = Parameter(initializer("zeros", (out_channels,)), name="bias")
        self.conv = operators.conv(kernel_size, pad_mode == "same", relu, has_bias, precision,
                                   in_channels <= IMAGE_CHANNELS)

    def construct(self, x):
        if self.has_bias:
            return self.conv(x, self.weight, self.bias)
        return self.conv(x, self.weight)


class _Deconv(nn.Cell):
    def __init__(self, operators, precision, in_channels, out_channels, weight_init):
        super().__init__()
        self.weight = Parameter(initializer(weight_init, (in_channels, out_channels, 2, 2)), name="weight")
        self.deconv = operators.deconv(precision)

    def construct(self, x):
        return self.deconv(x, self.weight)


class _BatchNormReLU(nn.Cell):
    def __init__(self, operators, channels, momentum):
        super().__init__()
        self.momentum = momentum
        self.moving_mean = Parameter(initializer("zeros", (channels,)), name="moving_mean", requires_grad=False)
        self.moving_variance = Parameter(initializer("ones", (channels,)), name="moving_variance", requires_grad=False)
        self.gamma = Parameter(initializer("ones", (channels,)), name="gamma")
        self.beta = Parameter(initializer("zeros", (channels,)), name="beta")
        self.moments, self.norm = operators.moments(), operators.norm_relu()
        self.affine = operators.affine_relu()

    def construct(self, x):
        if self.training:
            mean, variance = self.moments(ops.stop_gradient(x))
            count = x.shape[0] * x.shape[1] * x.shape[2]
            kept = self.momentum
            ops.assign(self.moving_mean, kept * self.moving_mean + (1 - kept) * mean)
            ops.assign(self.moving_variance, kept * self.moving_variance
                       + (1 - kept) * count / max(count - 1, 1) * variance)
            return self.norm(x, self.gamma, self.beta, mean, variance)
        scale = self.gamma / ops.sqrt(self.moving_variance + EPSILON)
        return self.affine(x, scale, self.beta - self.moving_mean * scale)


class OneDnnLayers(Layers):
    """The layers on the operators of one compiled library, most of which call oneDNN.

    Args:
        library (str): path of the shared library.
        precision (str): float32, or bfloat16 for the products of convolutions.
        momentum (float): see ``Layers``.
    """

    def __init__(self, library, precision="float32", momentum=MOMENTUM):
        super().__init__(momentum)
        self.operators, self.precision = Operators(library), precision

    def enter(self):
        return _Transpose((0, 2, 3, 1))

    def leave(self):
        return _Transpose((0, 3, 1, 2))

    def trim(self, margin):
        return Trim(margin, 1) if self.trimmed and margin else nn.Identity()

    def _precision_of(self, in_channels, out_channels):
        return self.precision if min(in_channels, out_channels) >= LEAST_CHANNELS_OF_BFLOAT16 else "float32"

    def conv(self, in_channels, out_channels, *args, relu=False, **kwargs):
        return _Conv(self.operators, self._precision_of(in_channels, out_channels), in_channels, out_channels, *args,
                     relu=relu, **kwargs)

    def conv_relu(self, *args, **kwargs):
        return [self.conv(*args, relu=True, **kwargs), nn.Identity()]

    def conv_norm_relu(self, in_channels, out_channels, kernel_size, pad_mode, weight_init):
        return [self.conv(in_channels, out_channels, kernel_size, pad_mode, False, weight_init),
                _BatchNormReLU(self.operators, out_channels, self.momentum), nn.Identity()]

    def deconv(self, in_channels, out_channels, *args, **kwargs):
        return _Deconv(self.operators, self._precision_of(in_channels, out_channels), in_channels, out_channels, *args,
                       **kwargs)

    def max_pool(self):
        return _Call(self.operators.max_pool())

    def upsample(self, mode="bilinear"):
        return _Call(self.operators.upsample(mode))

    def concat(self, count):
        return _Call(self.operators.concat(count))


class _Transpose(nn.Cell):
    def __init__(self, order):
        super().__init__()
        self.order = order

    def construct(self, x):
        return x.transpose(self.order)


class _Call(nn.Cell):
    """An operator without parameters as a cell."""

    def __init__(self, operator):
        super().__init__()
        self.operator = operator

    def construct(self, *inputs):
        return self.operator(*inputs)
