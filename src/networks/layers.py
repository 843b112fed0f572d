"""The layers that networks are made of.

A network is written once, against a layer set: it passes its input through ``enter`` and its output through
``leave``, and builds what is between them from the other factories. Each factory gives one cell, or the list
of cells that takes the places of those layers in an ``nn.SequentialCell``, so that parameters keep their names.
"""
from mindspore import nn, ops
from mindspore.common.initializer import HeNormal, HeUniform, initializer

# Gain of ReLU, after He et al. 2015, arXiv:1502.01852.
INITIALIZERS = {"he_normal": HeNormal, "he_uniform": HeUniform}


def initialize(network: nn.Cell, weight_init: str) -> None:
    """Draw the convolutions' weights anew, as the option ``weight_init`` says; ``default`` leaves the network's own."""
    if weight_init == "default":
        return
    for parameter in network.trainable_params():
        if parameter.ndim == 4:
            parameter.set_data(initializer(INITIALIZERS[weight_init](), parameter.shape, parameter.dtype))


class Layers:
    """The layer set of MindSpore: its own layers, NCHW inside.

    Convolutions have stride 1, "same" or "valid" padding, and weights of (out, in, k, k).
    """

    def enter(self):
        """From NCHW to the layout inside."""
        return nn.Identity()

    def leave(self):
        """From the layout inside to NCHW."""
        return nn.Identity()

    def conv(self, in_channels, out_channels, kernel_size, pad_mode, has_bias, weight_init):
        """Convolution."""
        return nn.Conv2d(in_channels, out_channels, kernel_size, pad_mode=pad_mode, has_bias=has_bias,
                         weight_init=weight_init, bias_init="zeros")

    def conv_relu(self, *args, **kwargs):
        """Convolution, ReLU."""
        return [self.conv(*args, **kwargs), nn.ReLU()]

    def conv_norm_relu(self, in_channels, out_channels, kernel_size, pad_mode, weight_init):
        """Convolution without bias, batch norm, ReLU."""
        return [self.conv(in_channels, out_channels, kernel_size, pad_mode, False, weight_init),
                nn.BatchNorm2d(out_channels), nn.ReLU()]

    def deconv(self, in_channels, out_channels, weight_init):
        """2x2 transposed convolution with stride 2, without bias; weights of (in, out, 2, 2)."""
        return nn.Conv2dTranspose(in_channels, out_channels, kernel_size=2, stride=2, pad_mode="valid", has_bias=False,
                                  weight_init=weight_init)

    def max_pool(self):
        """2x2 maximum with stride 2."""
        return nn.MaxPool2d(kernel_size=2, stride=2)

    def upsample(self, mode="bilinear"):
        """Upsampling by 2, bilinear or nearest."""
        return Upsample(mode)

    def concat(self, count):
        """Channels of ``count`` tensors side by side: (x, skip, ...); of larger skips the centre."""
        return Concat()


class Upsample(nn.Cell):
    """Upsampling, bilinear or nearest: (N, C, H, W) -> (N, C, 2H, 2W)."""

    def __init__(self, mode):
        super().__init__()
        self.mode = mode

    def construct(self, x):
        height, width = x.shape[2:]
        if self.mode == "nearest":
            return ops.interpolate(x, size=(2 * height, 2 * width), mode="nearest")
        return ops.interpolate(x, size=(2 * height, 2 * width), mode="bilinear", align_corners=False)


class Concat(nn.Cell):
    """(N, C, H, W) and any number of (N, Ci, Hi, Wi), Hi >= H, Wi >= W -> (N, C + C1 + ..., H, W)."""

    def construct(self, x, *skips):
        height, width = x.shape[2:]
        parts = (x,)
        for skip in skips:
            top, left = (skip.shape[2] - height) // 2, (skip.shape[3] - width) // 2
            # No slice that cuts nothing: an exported graph would be bound to its numbers.
            centre = skip[:, :, top:top + height, left:left + width] if top or left else skip
            parts += (centre,)    # (N, Ci, H, W)
        return ops.concat(parts, axis=1)


MINDSPORE = Layers()
