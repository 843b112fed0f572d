"""U-Net with same convolutions, and the parts that it shares with UNet++, on any layer set."""
from mindspore import nn

from src.networks.layers import MINDSPORE, Layers
from src.networks.receptive_field import TRIMMED_BELOW, TRIMMED_UP, same_output_size
from src.networks.registry import register

_CONV = {"pad_mode": "same", "weight_init": "normal"}


def final_conv(layers: Layers, in_channels: int, n_class: int) -> nn.Cell:
    """Make the 1x1 convolution to the logits."""
    return layers.conv(in_channels, n_class, 1, has_bias=False, **_CONV)


class UnetConv2d(nn.Cell):
    """Two 3x3 convolutions, each with optional batch norm and with ReLU."""

    def __init__(self, layers: Layers, in_channels: int, out_channels: int, use_bn: bool, pad_mode: str = "same"):
        super().__init__()
        options = {**_CONV, "pad_mode": pad_mode}

        def block(channels):
            if use_bn:
                return nn.SequentialCell(layers.conv_norm_relu(channels, out_channels, 3, **options))
            return nn.SequentialCell(layers.conv_relu(channels, out_channels, 3, has_bias=False, **options))

        self.convs = nn.SequentialCell([block(in_channels), block(out_channels)])

    def construct(self, inputs):
        return self.convs(inputs)


class UnetUp(nn.Cell):
    """Upsampling by 2, concatenation with the skips, two convolutions without batch norm.

    in channels, h x w, and ``n_skips`` skips, 2h x 2w, the first of in - out channels and the others of out -> out
    channels, 2h x 2w. In a network, in is twice out.
    """

    def __init__(self, layers: Layers, in_channels: int, out_channels: int, use_deconv: bool, n_skips: int = 1):
        super().__init__()
        if use_deconv:
            self.up_conv = layers.deconv(in_channels, out_channels, weight_init="normal")
        else:
            self.upsample = nn.SequentialCell(layers.upsample(), layers.trim(TRIMMED_UP["bilinear"]))
            self.up_conv = layers.conv(in_channels, out_channels, 1, has_bias=False, **_CONV)
        self.use_deconv = use_deconv
        self.concat = layers.concat(1 + n_skips)
        self.conv = UnetConv2d(layers, in_channels + (n_skips - 1) * out_channels, out_channels, use_bn=False,
                               pad_mode=layers.padding_up)

    def construct(self, high_feature, *low_feature):
        x = high_feature
        if not self.use_deconv:
            x = self.upsample(x)               # in channels, 2h x 2w
        x = self.up_conv(x)                    # out channels, 2h x 2w
        return self.conv(self.concat(x, *low_feature))


def filters(feature_scale: int) -> list[int]:
    """Return the channels of the five levels: those of the U-Net paper, divided by ``feature_scale``."""
    return [channels // feature_scale for channels in (64, 128, 256, 512, 1024)]


@register("unet_simple", {"in_channel": "num_channels", "n_class": "num_classes", "feature_scale": "feature_scale"},
          upsampling="deconv", most_channels=lambda spec: 5 * filters(spec.feature_scale)[0])
class UNet(nn.Cell):
    """U-Net with same convolutions: (N, in_channel, H, W) -> logits (N, n_class, H, W), both float32.

    H and W are multiples of 16.

    Args:
        in_channel: channels of the image.
        n_class: classes, the background included.
        feature_scale: divides the 64 to 1024 channels of the U-Net paper.
        use_deconv: upsample by transposed convolutions, else bilinear and a 1x1 convolution.
        use_bn: batch norm in the encoder.
        layers: the layer set to build from.
    """
    output_size = staticmethod(same_output_size)

    def __init__(self, in_channel: int, n_class: int = 2, feature_scale: int = 2, use_deconv: bool = True,
                 use_bn: bool = True, layers: Layers = MINDSPORE):
        super().__init__()
        self.enter, self.leave = layers.enter(), layers.leave()
        f = filters(feature_scale)
        self.maxpool, self.trim = layers.max_pool(), layers.trim(TRIMMED_BELOW)
        self.conv0 = UnetConv2d(layers, in_channel, f[0], use_bn)
        self.conv1 = UnetConv2d(layers, f[0], f[1], use_bn)
        self.conv2 = UnetConv2d(layers, f[1], f[2], use_bn)
        self.conv3 = UnetConv2d(layers, f[2], f[3], use_bn)
        self.conv4 = UnetConv2d(layers, f[3], f[4], use_bn)
        self.up_concat1 = UnetUp(layers, f[1], f[0], use_deconv)
        self.up_concat2 = UnetUp(layers, f[2], f[1], use_deconv)
        self.up_concat3 = UnetUp(layers, f[3], f[2], use_deconv)
        self.up_concat4 = UnetUp(layers, f[4], f[3], use_deconv)
        self.final = final_conv(layers, f[0], n_class)

    def construct(self, inputs):
        x0 = self.conv0(self.enter(inputs))       # f[0] channels, full resolution
        x1 = self.conv1(self.maxpool(x0))         # f[1], 1/2
        x2 = self.conv2(self.maxpool(x1))         # f[2], 1/4
        x3 = self.conv3(self.maxpool(x2))         # f[3], 1/8
        x = self.conv4(self.maxpool(x3))          # f[4], 1/16
        x = self.up_concat4(self.trim(x), x3)                # f[3], 1/8
        x = self.up_concat3(x, x2)                # f[2], 1/4
        x = self.up_concat2(x, x1)                # f[1], 1/2
        x = self.up_concat1(x, x0)                # f[0], full resolution
        return self.leave(self.final(x))          # (N, n_class, H, W)
