"""The parts of ``src.networks.unet_medical`` on MindSpore's own layers, with the model zoo's arguments."""
from src.networks import unet_medical as parts
from src.networks.layers import MINDSPORE

__all__ = ["DoubleConv", "Down", "OutConv", "Up", "Up1", "Up2", "Up3", "Up4"]


class DoubleConv(parts.DoubleConv):
    """See ``src.networks.unet_medical.DoubleConv``."""

    def __init__(self, in_channels: int, out_channels: int, mid_channels: int | None = None):
        super().__init__(MINDSPORE, in_channels, out_channels, mid_channels)


class Down(parts.Down):
    """See ``src.networks.unet_medical.Down``."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(MINDSPORE, in_channels, out_channels)


class Up(parts.Up):
    """See ``src.networks.unet_medical.Up``. Whatever ``bilinear`` is, it upsamples by a transposed convolution."""

    def __init__(self, in_channels: int, out_channels: int, bilinear: bool = True):
        super().__init__(MINDSPORE, in_channels, out_channels)


# They differ only in how much they cut from the skip, which ``Up`` sees from the sizes.
Up1 = Up2 = Up3 = Up4 = Up


class OutConv(parts.OutConv):
    """See ``src.networks.unet_medical.OutConv``."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(MINDSPORE, in_channels, out_channels)
