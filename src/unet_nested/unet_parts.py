"""Parts of the U-Nets with same convolutions, on any layer set."""
from mindspore import nn

_CONV = {"pad_mode": "same", "weight_init": "normal"}


def final_conv(layers, in_channels, n_class):
    """1x1 convolution to the logits."""
    return layers.conv(in_channels, n_class, 1, has_bias=False, **_CONV)


class UnetConv2d(nn.Cell):
    """Two 3x3 convolutions, each with optional batch norm and ReLU; height and width stay."""

    def __init__(self, layers, in_channels, out_channels, use_bn):
        super().__init__()

        def block(channels):
            if use_bn:
                return nn.SequentialCell(layers.conv_norm_relu(channels, out_channels, 3, **_CONV))
            return nn.SequentialCell(layers.conv_relu(channels, out_channels, 3, has_bias=False, **_CONV))

        self.convs = nn.SequentialCell([block(in_channels), block(out_channels)])

    def construct(self, x):
        return self.convs(x)


class UnetUp(nn.Cell):
    """Upsampling by 2, the skips beside it, two convolutions without batch norm.

    in channels, h x w, and ``n_skips`` skips of out channels, 2h x 2w -> out channels, 2h x 2w.
    """

    def __init__(self, layers, in_channels, out_channels, use_deconv, n_skips=1):
        super().__init__()
        if use_deconv:
            self.up_conv = layers.deconv(in_channels, out_channels, weight_init="normal")
        else:
            self.upsample = layers.upsample()
            self.up_conv = layers.conv(in_channels, out_channels, 1, has_bias=False, **_CONV)
        self.use_deconv = use_deconv
        self.concat = layers.concat(1 + n_skips)
        self.conv = UnetConv2d(layers, (1 + n_skips) * out_channels, out_channels, use_bn=False)

    def construct(self, x, *skips):
        if not self.use_deconv:
            x = self.upsample(x)               # in channels, 2h x 2w
        x = self.up_conv(x)                    # out channels, 2h x 2w
        return self.conv(self.concat(x, *skips))
