"""UNet++: Zhou, Siddiquee, Tajbakhsh, Liang, "UNet++: Redesigning Skip Connections to Exploit Multiscale
Features in Image Segmentation", IEEE TMI 39(6), 2020, arXiv:1912.05074."""
from mindspore import nn, ops

from src.networks.layers import MINDSPORE, Layers
from src.networks.receptive_field import TRIMMED_BELOW, same_output_size
from src.networks.registry import register
from src.networks.unet_simple import UnetConv2d, UnetUp, filters, final_conv


@register("unet_nested", {"in_channel": "num_channels", "n_class": "num_classes", "feature_scale": "feature_scale",
                          "use_deconv": "use_deconv", "use_bn": "use_bn", "use_ds": "use_ds"},
          upsampling=lambda spec: "deconv" if spec.use_deconv else "bilinear",
          most_channels=lambda spec: 11 * filters(spec.feature_scale)[0], heads=lambda spec: 4 if spec.use_ds else 1)
class NestedUNet(nn.Cell):
    """UNet++: (N, in_channel, H, W) -> logits (N, n_class, H, W), both float32; H and W multiples of 16.

    With deep supervision the network gives (4, N, n_class, H, W) in training, the logits of the four heads from the
    shallowest to the deepest; in evaluation only those of the last head.

    Args:
        in_channel: channels of the image.
        n_class: classes, the background included.
        feature_scale: divides the 64 to 1024 channels of the paper.
        use_deconv: upsample by transposed convolutions, else bilinear and a 1x1 convolution.
        use_bn: batch norm in the encoder.
        use_ds: deep supervision.
        layers: the layer set to build from.
    """
    output_size = staticmethod(same_output_size)
    heads_in_evaluation = False     # the model zoo's class gives all heads in evaluation too

    def __init__(self, in_channel: int, n_class: int = 2, feature_scale: int = 2, use_deconv: bool = True,
                 use_bn: bool = True, use_ds: bool = True, layers: Layers = MINDSPORE):
        super().__init__()
        self.enter, self.leave = layers.enter(), layers.leave()
        self.use_ds = use_ds
        f = filters(feature_scale)
        self.maxpool, self.trim = layers.max_pool(), layers.trim(TRIMMED_BELOW)

        # Xij: after i poolings and j upsamplings.
        self.conv00 = UnetConv2d(layers, in_channel, f[0], use_bn)
        self.conv10 = UnetConv2d(layers, f[0], f[1], use_bn)
        self.conv20 = UnetConv2d(layers, f[1], f[2], use_bn)
        self.conv30 = UnetConv2d(layers, f[2], f[3], use_bn)
        self.conv40 = UnetConv2d(layers, f[3], f[4], use_bn)

        self.up_concat01 = UnetUp(layers, f[1], f[0], use_deconv, n_skips=1)
        self.up_concat11 = UnetUp(layers, f[2], f[1], use_deconv, n_skips=1)
        self.up_concat21 = UnetUp(layers, f[3], f[2], use_deconv, n_skips=1)
        self.up_concat31 = UnetUp(layers, f[4], f[3], use_deconv, n_skips=1)

        self.up_concat02 = UnetUp(layers, f[1], f[0], use_deconv, n_skips=2)
        self.up_concat12 = UnetUp(layers, f[2], f[1], use_deconv, n_skips=2)
        self.up_concat22 = UnetUp(layers, f[3], f[2], use_deconv, n_skips=2)

        self.up_concat03 = UnetUp(layers, f[1], f[0], use_deconv, n_skips=3)
        self.up_concat13 = UnetUp(layers, f[2], f[1], use_deconv, n_skips=3)

        self.up_concat04 = UnetUp(layers, f[1], f[0], use_deconv, n_skips=4)

        self.final1 = final_conv(layers, f[0], n_class)
        self.final2 = final_conv(layers, f[0], n_class)
        self.final3 = final_conv(layers, f[0], n_class)
        self.final4 = final_conv(layers, f[0], n_class)

    def construct(self, inputs):
        x00 = self.conv00(self.enter(inputs))                 # f[0] channels, full resolution
        x10 = self.conv10(self.maxpool(x00))                  # f[1], 1/2
        x20 = self.conv20(self.maxpool(x10))                  # f[2], 1/4
        x30 = self.conv30(self.maxpool(x20))                  # f[3], 1/8
        x40 = self.conv40(self.maxpool(x30))                  # f[4], 1/16

        x01 = self.up_concat01(self.trim(x10), x00)           # f[0], full resolution
        x11 = self.up_concat11(self.trim(x20), x10)           # f[1], 1/2
        x21 = self.up_concat21(self.trim(x30), x20)           # f[2], 1/4
        x31 = self.up_concat31(self.trim(x40), x30)           # f[3], 1/8

        x02 = self.up_concat02(x11, x00, x01)                 # f[0], full resolution
        x12 = self.up_concat12(x21, x10, x11)                 # f[1], 1/2
        x22 = self.up_concat22(x31, x20, x21)                 # f[2], 1/4

        x03 = self.up_concat03(x12, x00, x01, x02)            # f[0], full resolution
        x13 = self.up_concat13(x22, x10, x11, x12)            # f[1], 1/2

        x04 = self.up_concat04(x13, x00, x01, x02, x03)       # f[0], full resolution

        if self.use_ds and (self.training or self.heads_in_evaluation):
            heads = (self.final1(x01), self.final2(x02), self.final3(x03), self.final4(x04))
            return ops.stack([self.leave(head) for head in heads], axis=0)    # (4, N, n_class, H, W)
        return self.leave(self.final4(x04))                   # (N, n_class, H, W)
