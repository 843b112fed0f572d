"""The layers that networks are made of.

A network is written once, against a layer set: it passes its input through ``enter`` and its output through
``leave``, and builds what is between them from the other factories. Each factory gives one cell, or the list
of cells that takes the places of those layers in an ``nn.SequentialCell``, so that parameters keep their names.
"""
from mindspore import nn, ops

LEVELS = 4      # of all networks here: poolings on the way down


def same_output_size(size):
    """Height (or width) of the logits of same convolutions for an input of height (or width) ``size``.

    None where the network cannot take it: poolings would drop a row, and the skips would not fit.
    """
    return size if size > 0 and size % 2 ** LEVELS == 0 else None


class Layers:
    """The stock set: MindSpore's own layers, NCHW inside.

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


STOCK = Layers()
