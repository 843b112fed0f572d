"""The model zoo's name for ``src.networks.inference_network``."""
from src.networks.inference_network import UnetEval

__all__ = ["UnetEval"]
