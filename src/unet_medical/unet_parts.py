"""The model zoo's name for ``src.networks.unet_medical``."""
from src.networks.unet_medical import DoubleConv, Down, OutConv, Up

__all__ = ["DoubleConv", "Down", "OutConv", "Up"]
