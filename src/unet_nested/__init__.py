"""The model zoo's name for ``src.networks.unet_nested`` and ``unet_simple``."""
from src.networks.unet_nested import NestedUNet
from src.networks.unet_simple import UNet

__all__ = ["NestedUNet", "UNet"]
