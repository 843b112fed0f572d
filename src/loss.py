"""The model zoo's names for the losses of ``src.training.losses``, and its base for losses of one's own."""
from mindspore import nn

from src.training import losses
from src.training.losses import MultiCrossEntropyWithLogits

__all__ = ["CrossEntropyWithLogits", "MultiCrossEntropyWithLogits", "MyLoss"]


class MyLoss(nn.LossBase):
    """The base of a loss: ``get_loss(x, weights)`` reduces, by "mean", "sum" or "none" (also None)."""

    def __init__(self, reduction: str | None = "mean") -> None:
        super().__init__(reduction or "none")

    def construct(self, base, target):
        raise NotImplementedError


class CrossEntropyWithLogits(losses.CrossEntropyWithLogits, MyLoss):
    """See ``src.training.losses.CrossEntropyWithLogits``."""
