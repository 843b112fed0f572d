"""The network of ``tests/support/light.py``; apart from it, as it loads MindSpore."""
from mindspore import nn

from src.networks.layers import MINDSPORE
from src.networks.receptive_field import same_output_size
from src.networks.unet_simple import UnetConv2d, final_conv


class ShallowUNet(nn.Cell):
    """The first block and the last convolution of unet_simple, under the names that they have there.

    It has eight channels whatever ``feature_scale`` says.
    """

    output, output_size = "softmax", staticmethod(same_output_size)

    def __init__(self, in_channel, n_class=2, use_bn=True, layers=MINDSPORE, feature_scale=2):
        super().__init__()
        self.enter, self.leave = layers.enter(), layers.leave()
        self.conv0 = UnetConv2d(layers, in_channel, 8, use_bn)
        self.final = final_conv(layers, 8, n_class)

    def construct(self, x):
        return self.leave(self.final(self.conv0(self.enter(x))))
