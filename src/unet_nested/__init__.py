"""The model zoo's names for the networks of ``src.networks.unet_nested`` and ``unet_simple``."""
from src.model_utils.runtime import cap_cpu_instruction_set
from src.unet_nested.unet_model import NestedUNet, UNet

__all__ = ["NestedUNet", "UNet"]

# What a user builds from here runs on MindSpore's own kernels, and no script of the project has prepared the process.
cap_cpu_instruction_set()
