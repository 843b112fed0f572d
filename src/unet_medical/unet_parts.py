"""Parts of the U-Net with valid convolutions, on any layer set."""
from mindspore import nn
from mindspore.common.initializer import TruncatedNormal

SIGMA = 0.06   # of all initial weights


def _conv_options():
    return {"pad_mode": "valid", "has_bias": True, "weight_init": TruncatedNormal(SIGMA)}


class DoubleConv(nn.Cell):
    """Two 3x3 valid convolutions with ReLU: in channels, H x W -> out channels, (H-4) x (W-4)."""

    def __init__(self, layers, in_channels, out_channels):
        super().__init__()
        self.double_conv = nn.SequentialCell([*layers.conv_relu(in_channels, out_channels, 3, **_conv_options()),
                                              *layers.conv_relu(out_channels, out_channels, 3, **_conv_options())])

    def construct(self, x):
        return self.double_conv(x)


class Down(nn.Cell):
    """2x2 max pooling, then a double convolution: in channels, H x W -> out channels, (H/2-4) x (W/2-4)."""

    def __init__(self, layers, in_channels, out_channels):
        super().__init__()
        self.maxpool_conv = nn.SequentialCell([layers.max_pool(), DoubleConv(layers, in_channels, out_channels)])

    def construct(self, x):
        return self.maxpool_conv(x)


class Up(nn.Cell):
    """2x2 transposed convolution with ReLU, the centre of the skip beside it, then a double convolution.

    in channels, h x w, and a skip of in/2 channels, at least 2h x 2w -> out channels, (2h-4) x (2w-4).
    """

    def __init__(self, layers, in_channels, out_channels):
        super().__init__()
        self.up = layers.deconv(in_channels, in_channels // 2, weight_init=TruncatedNormal(SIGMA))
        self.relu = nn.ReLU()
        self.concat = layers.concat(2)
        self.conv = DoubleConv(layers, in_channels, out_channels)

    def construct(self, x, skip):
        x = self.relu(self.up(x))              # in/2 channels, 2h x 2w
        return self.conv(self.concat(x, skip))


class OutConv(nn.Cell):
    """1x1 convolution to the logits."""

    def __init__(self, layers, in_channels, out_channels):
        super().__init__()
        self.conv = layers.conv(in_channels, out_channels, 1, **_conv_options())

    def construct(self, x):
        return self.conv(x)
