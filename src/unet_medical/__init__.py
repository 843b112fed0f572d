"""The model zoo's name for ``src.networks.unet_medical``."""
from src.model_utils.runtime import cap_cpu_instruction_set
from src.networks.unet_medical import UNetMedical

__all__ = ["UNetMedical"]

# What a user builds from here runs on MindSpore's own kernels, and no script of the project has prepared the process.
cap_cpu_instruction_set()
