"""The U-Net of 2015, with valid convolutions."""
from src.unet_medical.unet_model import UNetMedical

__all__ = ["UNetMedical"]
