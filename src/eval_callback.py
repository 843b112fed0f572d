"""The model zoo's name for ``src.training.callbacks.evaluation``."""
from src.training.callbacks.evaluation import EvalCallBack

__all__ = ["EvalCallBack"]
