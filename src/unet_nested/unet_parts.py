"""Parts of the U-Nets with same convolutions. Tensors are NCHW."""
from mindspore import nn, ops


def _conv(in_channels, out_channels, kernel_size):
    return nn.Conv2d(in_channels, out_channels, kernel_size, pad_mode="same", has_bias=False, weight_init="normal")


def final_conv(in_channels, n_class):
    """1x1 convolution to the logits: (N, in, H, W) -> (N, n_class, H, W)."""
    return _conv(in_channels, n_class, 1)


class UnetConv2d(nn.Cell):
    """Two 3x3 convolutions, each with optional batch norm and ReLU: (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels, out_channels, use_bn):
        super().__init__()
        self.convs = nn.SequentialCell([self._layer(in_channels, out_channels, use_bn),
                                        self._layer(out_channels, out_channels, use_bn)])

    @staticmethod
    def _layer(in_channels, out_channels, use_bn):
        norm = [nn.BatchNorm2d(out_channels)] if use_bn else []
        return nn.SequentialCell([_conv(in_channels, out_channels, 3), *norm, nn.ReLU()])

    def construct(self, x):
        return self.convs(x)


class UnetUp(nn.Cell):
    """Upsampling by 2, the skips beside it, two convolutions without batch norm.

    (N, in, h, w) and ``n_skips`` skips (N, out, 2h, 2w) -> (N, out, 2h, 2w).
    """

    def __init__(self, in_channels, out_channels, use_deconv, n_skips=1):
        super().__init__()
        # A transposed convolution halves the channels here, so in = 2 * out and the sum below is right.
        self.conv = UnetConv2d((1 + n_skips) * out_channels, out_channels, use_bn=False)
        self.use_deconv = use_deconv
        if use_deconv:
            self.up_conv = nn.Conv2dTranspose(in_channels, out_channels, kernel_size=2, stride=2, pad_mode="same",
                                              has_bias=False, weight_init="normal")
        else:
            self.up_conv = _conv(in_channels, out_channels, 1)

    def construct(self, x, *skips):
        if not self.use_deconv:
            height, width = x.shape[2:]
            x = ops.interpolate(x, size=(2 * height, 2 * width), mode="bilinear", align_corners=False)
        x = self.up_conv(x)                            # (N, out, 2h, 2w)
        return self.conv(ops.concat((x,) + skips, axis=1))
