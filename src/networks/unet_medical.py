"""U-Net with valid convolutions: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical
Image Segmentation", MICCAI 2015, arXiv:1505.04597."""
from mindspore import nn
from mindspore.common.initializer import Normal, TruncatedNormal

from src.networks.layers import MINDSPORE, Layers
from src.networks.receptive_field import POOLINGS
from src.networks.registry import register

# Standard deviations of the initial weights; with more for the transposed convolutions, the first loss is in the
# hundreds instead of below 1.
CONV_SIGMA, DECONV_SIGMA = 0.06, 0.01


def _conv_options():
    return {"pad_mode": "valid", "has_bias": True, "weight_init": TruncatedNormal(CONV_SIGMA)}


class DoubleConv(nn.Cell):
    """Two 3x3 valid convolutions with ReLU: in channels, H x W -> out channels, (H-4) x (W-4).

    ``mid_channels`` are those between the two; None makes them ``out_channels``.
    """

    def __init__(self, layers: Layers, in_channels: int, out_channels: int, mid_channels: int | None = None):
        super().__init__()
        mid_channels = mid_channels or out_channels
        self.double_conv = nn.SequentialCell([*layers.conv_relu(in_channels, mid_channels, 3, **_conv_options()),
                                              *layers.conv_relu(mid_channels, out_channels, 3, **_conv_options())])

    def construct(self, x):
        return self.double_conv(x)


class Down(nn.Cell):
    """2x2 max pooling, then a double convolution: in channels, H x W -> out channels, (H/2-4) x (W/2-4)."""

    def __init__(self, layers: Layers, in_channels: int, out_channels: int):
        super().__init__()
        self.maxpool_conv = nn.SequentialCell([layers.max_pool(), DoubleConv(layers, in_channels, out_channels)])

    def construct(self, x):
        return self.maxpool_conv(x)


class Up(nn.Cell):
    """2x2 transposed convolution with ReLU, concatenation with the skip's centre, then a double convolution.

    x1 of in channels, h x w, and the skip x2 of in/2 channels, at least 2h x 2w -> out channels, (2h-4) x (2w-4).
    """

    def __init__(self, layers: Layers, in_channels: int, out_channels: int):
        super().__init__()
        self.up = layers.deconv(in_channels, in_channels // 2, weight_init=Normal(DECONV_SIGMA))
        self.relu = nn.ReLU()
        self.concat = layers.concat(2)
        self.conv = DoubleConv(layers, in_channels, out_channels, in_channels // 2)

    def construct(self, x1, x2):
        x1 = self.relu(self.up(x1))            # in/2 channels, 2h x 2w
        return self.conv(self.concat(x1, x2))


class OutConv(nn.Cell):
    """1x1 convolution to the logits."""

    def __init__(self, layers: Layers, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = layers.conv(in_channels, out_channels, 1, **_conv_options())

    def construct(self, x):
        return self.conv(x)


@register("unet_medical", {"n_channels": "num_channels", "n_classes": "num_classes"}, upsampling="deconv")
class UNetMedical(nn.Cell):
    """The U-Net of 2015: (N, channels, H, W) -> logits (N, classes, h, w), both float32.

    H and W must be sizes for which ``output_size`` gives a number.

    Args:
        n_channels: channels of the image.
        n_classes: classes, the background included.
        layers: the layer set to build from.
    """

    def __init__(self, n_channels: int, n_classes: int, layers: Layers = MINDSPORE):
        super().__init__()
        self.enter, self.leave = layers.enter(), layers.leave()
        self.inc = DoubleConv(layers, n_channels, 64)
        self.down1 = Down(layers, 64, 128)
        self.down2 = Down(layers, 128, 256)
        self.down3 = Down(layers, 256, 512)
        self.down4 = Down(layers, 512, 1024)
        self.up1 = Up(layers, 1024, 512)
        self.up2 = Up(layers, 512, 256)
        self.up3 = Up(layers, 256, 128)
        self.up4 = Up(layers, 128, 64)
        self.outc = OutConv(layers, 64, n_classes)

    def construct(self, x):
        x1 = self.inc(self.enter(x))   # 64 channels, full resolution
        x2 = self.down1(x1)       # 128, 1/2
        x3 = self.down2(x2)       # 256, 1/4
        x4 = self.down3(x3)       # 512, 1/8
        x = self.down4(x4)        # 1024, 1/16
        x = self.up1(x, x4)       # 512, 1/8
        x = self.up2(x, x3)       # 256, 1/4
        x = self.up3(x, x2)       # 128, 1/2
        x = self.up4(x, x1)       # 64, full resolution
        return self.leave(self.outc(x))   # (N, classes, h, w)

    @staticmethod
    def output_size(size: int) -> int | None:
        """Return the height (or width) of the logits for an input of ``size``; None if the network cannot take it."""
        for _ in range(POOLINGS):
            size -= 4             # two valid 3x3 convolutions
            if size <= 0 or size % 2:
                return None       # a pooling would drop a row, and the skip would not fit
            size //= 2
        for _ in range(POOLINGS + 1):
            size -= 4
            if size <= 0:
                return None
            size *= 2
        return size // 2          # no upsampling follows the last pair of convolutions
