"""U-Net with same convolutions, dropout and nearest upsampling, as Keras and TensorFlow users know it."""
from mindspore import nn
from mindspore.common.initializer import HeNormal

from src.networks.dropout import Dropout
from src.networks.layers import MINDSPORE, Layers
from src.networks.receptive_field import TRIMMED_BELOW, TRIMMED_UP, same_output_size
from src.networks.registry import register

CHANNELS = (64, 128, 256, 512, 1024)


def _conv(layers: Layers, in_channels: int, out_channels: int, kernel_size: int = 3,
          pad_mode: str = "same") -> list[nn.Cell]:
    """Make a convolution with bias and ReLU."""
    return layers.conv_relu(in_channels, out_channels, kernel_size, pad_mode=pad_mode, has_bias=True,
                            weight_init=HeNormal())


class DoubleConv(nn.Cell):
    """Two 3x3 convolutions with bias and ReLU."""

    def __init__(self, layers: Layers, in_channels: int, out_channels: int, pad_mode: str = "same"):
        super().__init__()
        self.convs = nn.SequentialCell([*_conv(layers, in_channels, out_channels, pad_mode=pad_mode),
                                        *_conv(layers, out_channels, out_channels, pad_mode=pad_mode)])

    def construct(self, x):
        return self.convs(x)


class Up(nn.Cell):
    """Nearest upsampling by 2, a 2x2 convolution, concatenation (the skip first), a double convolution.

    in channels, h x w, and a skip of out channels, 2h x 2w -> out channels, 2h x 2w.
    """

    def __init__(self, layers: Layers, in_channels: int, out_channels: int):
        super().__init__()
        self.upsample, self.concat = layers.upsample("nearest"), layers.concat(2)
        self.up = nn.SequentialCell(_conv(layers, in_channels, out_channels, kernel_size=2))
        self.trim = layers.trim(TRIMMED_UP["nearest"])
        self.conv = DoubleConv(layers, 2 * out_channels, out_channels, layers.padding_up)

    def construct(self, x, skip):
        x = self.trim(self.up(self.upsample(x)))    # out channels, 2h x 2w
        return self.conv(self.concat(skip, x))


@register("unet_keras", {"in_channel": "num_channels"}, upsampling="nearest", output="sigmoid")
class UNetKeras(nn.Cell):
    """The Keras U-Net: (N, in_channel, H, W) -> one logit a pixel (N, 1, H, W), both float32.

    The sigmoid of the logit is the probability of class 1. H and W are multiples of 16.

    Args:
        in_channel: channels of the image.
        layers: the layer set to build from.
    """
    output_size = staticmethod(same_output_size)

    def __init__(self, in_channel: int = 1, layers: Layers = MINDSPORE):
        super().__init__()
        self.enter, self.leave = layers.enter(), layers.leave()
        self.maxpool, self.trim = layers.max_pool(), layers.trim(TRIMMED_BELOW)
        # In NCHW, whatever the layout inside, so that each layer set drops the same values.
        self.drop3, self.drop4 = (nn.SequentialCell(layers.leave(), Dropout(name), layers.enter())
                                  for name in ("drop3", "drop4"))
        f = CHANNELS
        self.down0 = DoubleConv(layers, in_channel, f[0])
        self.down1 = DoubleConv(layers, f[0], f[1])
        self.down2 = DoubleConv(layers, f[1], f[2])
        self.down3 = DoubleConv(layers, f[2], f[3])
        self.down4 = DoubleConv(layers, f[3], f[4])
        self.up3 = Up(layers, f[4], f[3])
        self.up2 = Up(layers, f[3], f[2])
        self.up1 = Up(layers, f[2], f[1])
        self.up0 = Up(layers, f[1], f[0])
        self.last = nn.SequentialCell(_conv(layers, f[0], 2))
        self.final = layers.conv(2, 1, 1, pad_mode="same", has_bias=True, weight_init="xavier_uniform")

    def construct(self, x):
        x0 = self.down0(self.enter(x))                       # 64 channels, full resolution
        x1 = self.down1(self.maxpool(x0))                    # 128, 1/2
        x2 = self.down2(self.maxpool(x1))                    # 256, 1/4
        x3 = self.drop3(self.down3(self.maxpool(x2)))        # 512, 1/8
        x = self.drop4(self.down4(self.maxpool(x3)))         # 1024, 1/16
        x = self.up3(self.trim(x), x3)                       # 512, 1/8
        x = self.up2(x, x2)                                  # 256, 1/4
        x = self.up1(x, x1)                                  # 128, 1/2
        x = self.up0(x, x0)                                  # 64, full resolution
        return self.leave(self.final(self.last(x)))          # (N, 1, H, W)
