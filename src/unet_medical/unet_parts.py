"""Parts of the U-Net with valid convolutions. Tensors are NCHW."""
from mindspore import nn, ops
from mindspore.common.initializer import TruncatedNormal

# Standard deviation of all initial weights.
SIGMA = 0.06


def _conv(in_channels, out_channels, kernel_size):
    return nn.Conv2d(in_channels, out_channels, kernel_size, pad_mode="valid", has_bias=True,
                     weight_init=TruncatedNormal(SIGMA), bias_init="zeros")


class DoubleConv(nn.Cell):
    """Two 3x3 valid convolutions with ReLU: (N, in, H, W) -> (N, out, H-4, W-4)."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.double_conv = nn.SequentialCell([_conv(in_channels, out_channels, 3), nn.ReLU(),
                                              _conv(out_channels, out_channels, 3), nn.ReLU()])

    def construct(self, x):
        return self.double_conv(x)


class Down(nn.Cell):
    """2x2 max pooling, then a double convolution: (N, in, H, W) -> (N, out, H/2-4, W/2-4)."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.maxpool_conv = nn.SequentialCell([nn.MaxPool2d(kernel_size=2, stride=2),
                                               DoubleConv(in_channels, out_channels)])

    def construct(self, x):
        return self.maxpool_conv(x)


class Up(nn.Cell):
    """2x2 transposed convolution with ReLU, the centre of the skip beside it, then a double convolution.

    (N, in, h, w) and the skip (N, in/2, H, W) with H >= 2h -> (N, out, 2h-4, 2w-4).
    """

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.up = nn.Conv2dTranspose(in_channels, in_channels // 2, kernel_size=2, stride=2, pad_mode="valid",
                                     has_bias=False, weight_init=TruncatedNormal(SIGMA))
        self.relu = nn.ReLU()
        self.conv = DoubleConv(in_channels, out_channels)

    def construct(self, x, skip):
        x = self.relu(self.up(x))                                 # (N, in/2, 2h, 2w)
        height, width = x.shape[2:]
        top, left = (skip.shape[2] - height) // 2, (skip.shape[3] - width) // 2
        skip = skip[:, :, top:top + height, left:left + width]    # (N, in/2, 2h, 2w)
        return self.conv(ops.concat((x, skip), axis=1))           # (N, in, 2h, 2w) -> (N, out, 2h-4, 2w-4)


class OutConv(nn.Cell):
    """1x1 convolution to the logits: (N, in, H, W) -> (N, classes, H, W)."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = _conv(in_channels, out_channels, 1)

    def construct(self, x):
        return self.conv(x)
