"""The parts of ``src.networks.unet_simple`` and ``unet_nested`` on MindSpore's own layers, as in the model zoo."""
from mindspore import nn

from src.networks import unet_simple as parts
from src.networks.layers import MINDSPORE

__all__ = ["UnetConv2d", "UnetUp", "conv_bn_relu"]


def conv_bn_relu(in_channel: int, out_channel: int, use_bn: bool = True, kernel_size: int = 3, stride: int = 1,
                 pad_mode: str = "same", activation: str | None = "relu") -> nn.SequentialCell:
    """Make a convolution without bias, a batch norm if ``use_bn``, and the activation of that name in MindSpore."""
    cells: list[nn.Cell] = [nn.Conv2d(in_channel, out_channel, kernel_size, stride, pad_mode, has_bias=False,
                                      weight_init="normal")]
    if use_bn:
        cells.append(nn.BatchNorm2d(out_channel))
    if activation:
        cells.append(nn.get_activation(activation))
    return nn.SequentialCell(cells)


class UnetConv2d(nn.Cell):
    """``num_layer`` times ``conv_bn_relu``: the general form of ``src.networks.unet_simple.UnetConv2d``."""

    def __init__(self, in_channel: int, out_channel: int, use_bn: bool = True, num_layer: int = 2,
                 kernel_size: int = 3, stride: int = 1, padding: str = "same"):
        super().__init__()
        channels = [in_channel] + [out_channel] * num_layer
        self.convs = nn.SequentialCell([conv_bn_relu(before, after, use_bn, kernel_size, stride, padding)
                                        for before, after in zip(channels, channels[1:])])

    def construct(self, inputs):
        return self.convs(inputs)


class UnetUp(parts.UnetUp):
    """See ``src.networks.unet_simple.UnetUp``; ``n_concat`` tensors are concatenated, the upsampled one among them."""

    def __init__(self, in_channel: int, out_channel: int, use_deconv: bool, n_concat: int = 2):
        super().__init__(MINDSPORE, in_channel, out_channel, use_deconv, n_concat - 1)
