"""The model zoo's name for ``src.networks.unet_simple``."""
from src.networks.unet_simple import UnetConv2d, UnetUp

__all__ = ["UnetConv2d", "UnetUp"]
