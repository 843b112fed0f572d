"""UNet++ and a U-Net of the same parts, with same convolutions."""
from src.unet_nested.unet_model import NestedUNet, UNet

__all__ = ["NestedUNet", "UNet"]
