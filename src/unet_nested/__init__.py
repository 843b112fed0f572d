"""UNet++ and a U-Net of the same parts, with same convolutions."""
from src.unet_nested.unet_model import LEVELS, NestedUNet, UNet, context

__all__ = ["LEVELS", "NestedUNet", "UNet", "context"]
