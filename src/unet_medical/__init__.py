"""The model zoo's name for ``src.networks.unet_medical``."""
from src.networks.unet_medical import UNetMedical

__all__ = ["UNetMedical"]
