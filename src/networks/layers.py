"""The layers that networks consist of.

A network is written once, for any layer set. It passes its input through ``enter`` and its output through ``leave``,
and makes the layers between them by the other methods of the set. Each method returns a cell, or a list of cells for an
``nn.SequentialCell``. Every layer set returns lists of the same length, so the parameters have the same names.

A trimmed set is for windows of an image, of whose result only the core is used. On the way up the same convolutions
become valid ones (``padding_up``), and the skips are cropped to what is left. So the borders of a window are not
computed on the levels where the core does not need them, and what is computed is the same.
"""
from copy import copy
from typing import Any

from mindspore import nn, ops
from mindspore.common.initializer import HeNormal, HeUniform, Initializer, initializer

# Both have the gain of ReLU: He et al. 2015, arXiv:1502.01852.
INITIALIZERS = {"he_normal": HeNormal, "he_uniform": HeUniform}

MOMENTUM = 0.9      # of batch norm, MindSpore's default


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

    Args:
        momentum: how much of its moving averages batch norm keeps at each forward pass in training.

    Attributes:
        trimmed: see the module.
    """
    trimmed = False

    def __init__(self, momentum: float = MOMENTUM) -> None:
        self.momentum = momentum

    def for_windows(self) -> "Layers":
        """Return this set, trimmed."""
        other = copy(self)
        other.trimmed = True
        return other

    @property
    def padding_up(self) -> str:
        """Padding of the convolutions on the way up."""
        return "valid" if self.trimmed else "same"

    def trim(self, margin: int) -> nn.Cell:
        """Make the cell that cuts off ``margin`` pixels at each side; only trimmed networks have it."""
        return Trim(margin, 2) if self.trimmed and margin else nn.Identity()

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
                nn.BatchNorm2d(out_channels, momentum=self.momentum), nn.ReLU()]

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
        """Make a concatenation of the channels of ``count`` tensors; the larger are cropped to the smallest."""
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
    """Concatenation: any number of (N, Ci, Hi, Wi) -> (N, C1 + C2 + ..., H, W) with the smallest Hi and Wi.

    The centre of larger tensors is used.
    """

    def construct(self, *tensors):
        height, width = tensors[0].shape[2:]
        for x in tensors[1:]:
            height, width = min(height, x.shape[2]), min(width, x.shape[3])
        parts = ()
        for x in tensors:
            top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
            # Without a slice where nothing is cut: its numbers would fix the sizes of an exported graph.
            centre = x[:, :, top:top + height, left:left + width] if top or left else x
            parts += (centre,)    # (N, Ci, H, W)
        return ops.concat(parts, axis=1)


class Trim(nn.Cell):
    """Cuts off ``margin`` pixels at each side of the axes ``first`` and ``first`` + 1."""

    def __init__(self, margin: int, first: int):
        super().__init__()
        self.margin, self.first = margin, first

    def construct(self, x):
        margin = self.margin
        if self.first == 1:
            return x[:, margin:-margin, margin:-margin]
        return x[:, :, margin:-margin, margin:-margin]


MINDSPORE = Layers()
