"""The U-Net of MindSpore's CPU case study, with bilinear upsampling."""
from src.unet_bilinear.unet_model import UNetBilinear

__all__ = ["UNetBilinear"]
