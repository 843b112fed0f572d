"""The model zoo's name for ``src.training.losses``."""
from src.training.losses import CrossEntropyWithLogits, MultiCrossEntropyWithLogits

__all__ = ["CrossEntropyWithLogits", "MultiCrossEntropyWithLogits"]
