"""The layers that networks consist of.

A network is written once, for any layer set. It passes its input through ``enter`` and its output through ``leave``,
and makes the layers between them by the other methods of the set. Each method returns a cell, or a list of cells for an
``nn.SequentialCell``. Every layer set returns lists of the same length, so the parameters have the same names.
"""
from typing import Any

from mindspore import nn, ops
from mindspore.common.initializer import HeNormal, HeUniform, Initializer, initializer

# Both have the gain of ReLU: He et al. 2015, arXiv:1502.01852.
INITIALIZERS = {"he_normal": HeNormal, "he_uniform": HeUniform}


def initialize(network: nn.Cell, weight_init: str) -> None:
    """Draw new weights of all convolutions, as the option ``weight_init`` says; ``default`` keeps those they have."""
    if weight_init == "default":
        return
    for parameter in network.trainable_params():
        if parameter.ndim == 4:
            parameter.set_data(initializer(INITIALIZERS[weight_init](), parameter.shape, parameter.dtype))


class Layers:
    """MindSpore's own layers, NCHW inside; the base class of other layer sets.

    Convolutions have stride 1, "same" or "valid" padding, and weights of (out, in, k, k).
    """

    def enter(self) -> nn.Cell:
        """Make the cell from NCHW to the layout inside."""
        return nn.Identity()

    def leave(self) -> nn.Cell:
        """Make the cell from the layout inside to NCHW."""
        return nn.Identity()

    def conv(self, in_channels: int, out_channels: int, kernel_size: int, pad_mode: str, has_bias: bool,
             weight_init: str | Initializer) -> nn.Cell:
        """Make a convolution."""
        return nn.Conv2d(in_channels, out_channels, kernel_size, pad_mode=pad_mode, has_bias=has_bias,
                         weight_init=weight_init, bias_init="zeros")

    def conv_relu(self, *args: Any, **kwargs: Any) -> list[nn.Cell]:
        """Make a convolution and a ReLU; the arguments are those of ``conv``."""
        return [self.conv(*args, **kwargs), nn.ReLU()]

    def conv_norm_relu(self, in_channels: int, out_channels: int, kernel_size: int, pad_mode: str,
                       weight_init: str | Initializer) -> list[nn.Cell]:
        """Make a convolution without bias, a batch norm and a ReLU."""
        return [self.conv(in_channels, out_channels, kernel_size, pad_mode, False, weight_init),
                nn.BatchNorm2d(out_channels), nn.ReLU()]

    def deconv(self, in_channels: int, out_channels: int, weight_init: str | Initializer) -> nn.Cell:
        """Make a 2x2 transposed convolution with stride 2, without bias; weights of (in, out, 2, 2)."""
        return nn.Conv2dTranspose(in_channels, out_channels, kernel_size=2, stride=2, pad_mode="valid", has_bias=False,
                                  weight_init=weight_init)

    def max_pool(self) -> nn.Cell:
        """Make a 2x2 max pooling with stride 2."""
        return nn.MaxPool2d(kernel_size=2, stride=2)

    def upsample(self, mode: str = "bilinear") -> nn.Cell:
        """Make an upsampling by 2, bilinear or nearest."""
        return Upsample(mode)

    def concat(self, count: int) -> nn.Cell:
        """Make a concatenation of the channels of ``count`` tensors (x, skip, ...); larger skips are cropped."""
        return Concat()


class Upsample(nn.Cell):
    """Upsampling, bilinear or nearest: (N, C, H, W) -> (N, C, 2H, 2W)."""

    def __init__(self, mode: str):
        super().__init__()
        self.mode = mode

    def construct(self, x):
        height, width = x.shape[2:]
        if self.mode == "nearest":
            return ops.interpolate(x, size=(2 * height, 2 * width), mode="nearest")
        return ops.interpolate(x, size=(2 * height, 2 * width), mode="bilinear", align_corners=False)


class Concat(nn.Cell):
    """Concatenation: (N, C, H, W) and any number of (N, Ci, Hi, Wi), Hi >= H, Wi >= W -> (N, C + C1 + ..., H, W).

    The centre of larger tensors is used.
    """

    def construct(self, x, *skips):
        height, width = x.shape[2:]
        parts = (x,)
        for skip in skips:
            top, left = (skip.shape[2] - height) // 2, (skip.shape[3] - width) // 2
            # Without a slice where nothing is cut: its numbers would fix the sizes of an exported graph.
            centre = skip[:, :, top:top + height, left:left + width] if top or left else skip
            parts += (centre,)    # (N, Ci, H, W)
        return ops.concat(parts, axis=1)


MINDSPORE = Layers()
