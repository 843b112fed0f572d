"""The model zoo's name for ``src.data.datasets``."""
from src.data.datasets import create_dataset, create_multi_class_dataset

__all__ = ["create_dataset", "create_multi_class_dataset"]
