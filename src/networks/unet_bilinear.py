"""U-Net with same convolutions, batch norm and bilinear upsampling, as in MindSpore's CPU case study."""
import mindspore as ms
import numpy as np
from mindspore import nn
from mindspore.common.initializer import HeUniform

from src.networks.layers import MINDSPORE, Layers
from src.networks.receptive_field import TRIMMED_BELOW, TRIMMED_UP, same_output_size
from src.networks.registry import register

CHANNELS = (64, 128, 256, 512, 1024)
BLOCKS = ("down0", "down1", "down2", "down3", "down4", "up3", "up2", "up1", "up0")


class DoubleConv(nn.Cell):
    """Two 3x3 convolutions without bias, each with batch norm and ReLU."""

    def __init__(self, layers: Layers, in_channels: int, out_channels: int, pad_mode: str = "same"):
        super().__init__()
        options = {"pad_mode": pad_mode, "weight_init": HeUniform()}
        self.convs = nn.SequentialCell([*layers.conv_norm_relu(in_channels, out_channels, 3, **options),
                                        *layers.conv_norm_relu(out_channels, out_channels, 3, **options)])

    def construct(self, x):
        return self.convs(x)


@register("unet_bilinear", {"in_channel": "num_channels"}, upsampling="bilinear", output="sigmoid",
          most_channels=lambda spec: 448)
class UNetBilinear(nn.Cell):
    """U-Net with bilinear upsampling: (N, in_channel, H, W) -> one logit a pixel (N, 1, H, W), both float32.

    The sigmoid of the logit is the probability of class 1. H and W are multiples of 16.

    Args:
        in_channel: channels of the image.
        layers: the layer set to build from.
    """
    output_size = staticmethod(same_output_size)
    # Cell here -> its names in the case study's checkpoints. A pair of convolutions is a class there, or a function.
    cells_elsewhere = {f"{block}.convs": (f"double_conv{number}.double_conv", f"double_conv{number}")
                       for number, block in enumerate(BLOCKS, start=1)}
    about_elsewhere = ("a checkpoint of MindSpore's CPU case study. It was trained on images from 0 to 1, so give "
                       "--input_range=[0,1]; and with an upsampling that is half a pixel aside, so its scores are a "
                       "little lower here until it is trained on")

    def __init__(self, in_channel: int = 3, layers: Layers = MINDSPORE):
        super().__init__()
        self.enter, self.leave = layers.enter(), layers.leave()
        self.maxpool, self.concat, self.trim = layers.max_pool(), layers.concat(2), layers.trim(TRIMMED_BELOW)
        self.upsample = nn.SequentialCell(layers.upsample(), layers.trim(TRIMMED_UP["bilinear"]))
        pad_mode = layers.padding_up
        f = CHANNELS
        self.down0 = DoubleConv(layers, in_channel, f[0])
        self.down1 = DoubleConv(layers, f[0], f[1])
        self.down2 = DoubleConv(layers, f[1], f[2])
        self.down3 = DoubleConv(layers, f[2], f[3])
        self.down4 = DoubleConv(layers, f[3], f[4])
        self.up3 = DoubleConv(layers, f[4] + f[3], f[3], pad_mode)
        self.up2 = DoubleConv(layers, f[3] + f[2], f[2], pad_mode)
        self.up1 = DoubleConv(layers, f[2] + f[1], f[1], pad_mode)
        self.up0 = DoubleConv(layers, f[1] + f[0], f[0], pad_mode)
        self.final = layers.conv(f[0], 1, 1, pad_mode="same", has_bias=False, weight_init=HeUniform())

    def construct(self, x):
        x0 = self.down0(self.enter(x))                       # 64 channels, full resolution
        x1 = self.down1(self.maxpool(x0))                    # 128, 1/2
        x2 = self.down2(self.maxpool(x1))                    # 256, 1/4
        x3 = self.down3(self.maxpool(x2))                    # 512, 1/8
        x = self.down4(self.maxpool(x3))                     # 1024, 1/16
        x = self.trim(x)
        x = self.up3(self.concat(x3, self.upsample(x)))      # 512, 1/8
        x = self.up2(self.concat(x2, self.upsample(x)))      # 256, 1/4
        x = self.up1(self.concat(x1, self.upsample(x)))      # 128, 1/2
        x = self.up0(self.concat(x0, self.upsample(x)))      # 64, full resolution
        return self.leave(self.final(x))                     # (N, 1, H, W)

    @staticmethod
    def from_version_1_0(name: str, value: ms.Parameter) -> ms.Parameter:
        """Return a parameter of a checkpoint of version 1.0, where the upsampled channels came before the skip's."""
        if not name.startswith("up") or not name.endswith(".convs.0.weight"):
            return value
        return ms.Parameter(np.roll(value.asnumpy(), value.shape[0], axis=1), name=name)
