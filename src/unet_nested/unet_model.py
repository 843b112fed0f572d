"""The model zoo's names for the networks of ``src.networks.unet_nested`` and ``unet_simple``."""
from src.networks import unet_nested
from src.networks.unet_simple import UNet

__all__ = ["NestedUNet", "UNet"]


class NestedUNet(unet_nested.NestedUNet):
    """See ``src.networks.unet_nested.NestedUNet``. With ``use_ds`` it gives all four heads in evaluation too."""

    heads_in_evaluation = True
