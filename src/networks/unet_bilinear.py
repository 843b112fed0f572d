"""U-Net with same convolutions, batch norm and bilinear upsampling, as in MindSpore's CPU case study."""
from mindspore import nn
from mindspore.common.initializer import HeUniform

from src.networks.layers import MINDSPORE, Layers
from src.networks.receptive_field import same_output_size
from src.networks.registry import register

CHANNELS = (64, 128, 256, 512, 1024)


class DoubleConv(nn.Cell):
    """Two 3x3 convolutions without bias, each with batch norm and ReLU; height and width stay."""

    def __init__(self, layers: Layers, in_channels: int, out_channels: int):
        super().__init__()
        options = {"pad_mode": "same", "weight_init": HeUniform()}
        self.convs = nn.SequentialCell([*layers.conv_norm_relu(in_channels, out_channels, 3, **options),
                                        *layers.conv_norm_relu(out_channels, out_channels, 3, **options)])

    def construct(self, x):
        return self.convs(x)


@register("unet_bilinear", {"in_channel": "num_channels"}, upsampling="bilinear", output="sigmoid")
class UNetBilinear(nn.Cell):
    """U-Net with bilinear upsampling: (N, in_channel, H, W) -> one logit a pixel (N, 1, H, W), both float32.

    The sigmoid of the logit is the probability of class 1. H and W are multiples of 16.

    Args:
        in_channel: channels of the image.
        layers: the layer set to build from.
    """
    output_size = staticmethod(same_output_size)

    def __init__(self, in_channel: int = 3, layers: Layers = MINDSPORE):
        super().__init__()
        self.enter, self.leave = layers.enter(), layers.leave()
        self.maxpool, self.upsample, self.concat = layers.max_pool(), layers.upsample(), layers.concat(2)
        f = CHANNELS
        self.down0 = DoubleConv(layers, in_channel, f[0])
        self.down1 = DoubleConv(layers, f[0], f[1])
        self.down2 = DoubleConv(layers, f[1], f[2])
        self.down3 = DoubleConv(layers, f[2], f[3])
        self.down4 = DoubleConv(layers, f[3], f[4])
        self.up3 = DoubleConv(layers, f[4] + f[3], f[3])
        self.up2 = DoubleConv(layers, f[3] + f[2], f[2])
        self.up1 = DoubleConv(layers, f[2] + f[1], f[1])
        self.up0 = DoubleConv(layers, f[1] + f[0], f[0])
        self.final = layers.conv(f[0], 1, 1, pad_mode="same", has_bias=False, weight_init=HeUniform())

    def construct(self, x):
        x0 = self.down0(self.enter(x))                       # 64 channels, full resolution
        x1 = self.down1(self.maxpool(x0))                    # 128, 1/2
        x2 = self.down2(self.maxpool(x1))                    # 256, 1/4
        x3 = self.down3(self.maxpool(x2))                    # 512, 1/8
        x = self.down4(self.maxpool(x3))                     # 1024, 1/16
        x = self.up3(self.concat(self.upsample(x), x3))      # 512, 1/8
        x = self.up2(self.concat(self.upsample(x), x2))      # 256, 1/4
        x = self.up1(self.concat(self.upsample(x), x1))      # 128, 1/2
        x = self.up0(self.concat(self.upsample(x), x0))      # 64, full resolution
        return self.leave(self.final(x))                     # (N, 1, H, W)
