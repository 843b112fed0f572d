"""Losses over NCHW logits and one-hot labels, in float32 whatever the logits are.

Logits are (N, C, H, W). A network with one output channel gives (N, 1, H, W), which stand for two classes: the sigmoid
of x is the softmax of (0, x), so the cross entropy is then the binary one. Labels are one-hot (N, C, H, W), with two
classes for one output channel. A further channel of the label holds weights of the pixels (see
``src.data.border_weights``). The weight of a pixel is that times the weight of its class. Means are over pixels, not
over weights, so the loss of a large batch is the mean of the losses of its parts.
"""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Tensor, nn, ops

from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.networks.registry import NetworkSpec, entry

FOCUS = 2.0         # gamma of the focal loss, the value of its paper
SMOOTH = 1e-6       # keeps the Dice of a class without pixels from dividing by zero


class _Loss(nn.Cell):
    """Base of the losses of one head: log probabilities, one-hot labels and the weights of the pixels.

    Args:
        class_weights (sequence): a weight for each class, or None.
    """

    def __init__(self, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.class_weights = None
        if class_weights is not None:
            self.class_weights = Tensor(np.array(class_weights, np.float32).reshape(1, -1, 1, 1))

    def prepare(self, logits, label):
        """Return (N, C, H, W) log probabilities, (N, C, H, W) one-hot labels, and (N, 1, H, W) weights or None."""
        logits, label = logits.astype("float32"), label.astype("float32")
        if logits.shape[1] == 1:
            logits = ops.concat((ops.zeros_like(logits), logits), axis=1)       # (N, 2, H, W)
        classes = logits.shape[1]
        one_hot, weights = label, None
        if label.shape[1] > classes:
            one_hot, weights = label[:, :classes], label[:, classes:]           # (N, C, H, W), (N, 1, H, W)
        if self.class_weights is not None:
            of_class = (one_hot * self.class_weights).sum(axis=1, keepdims=True)        # (N, 1, H, W)
            weights = of_class if weights is None else weights * of_class
        return ops.log_softmax(logits, axis=1), one_hot, weights


class CrossEntropyWithLogits(_Loss):
    """Softmax cross entropy, mean over all pixels of the batch."""

    def construct(self, logits, label):
        log_probability, one_hot, weights = self.prepare(logits, label)
        loss = -(log_probability * one_hot).sum(axis=1)                         # (N, H, W)
        return loss.mean() if weights is None else (loss * weights[:, 0]).mean()


class FocalLoss(_Loss):
    """Focal loss: cross entropy times (1 - p)^2, p the probability of the pixel's class; mean over all pixels.

    Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, 2017, arXiv:1708.02002.
    """

    def construct(self, logits, label):
        log_probability, one_hot, weights = self.prepare(logits, label)
        own = (log_probability * one_hot).sum(axis=1)                           # (N, H, W)
        loss = -((1 - ops.exp(own)) ** FOCUS) * own
        return loss.mean() if weights is None else (loss * weights[:, 0]).mean()


class DiceLoss(_Loss):
    """1 - Dice: 2 sum(p y) / (sum(p^2) + sum(y^2)), the mean over the images and the classes in an image's label.

    Milletari, Navab, Ahmadi: V-Net, 2016, arXiv:1606.04797. The Dice of ``src.evaluation.metrics`` is one sum over all
    classes, and a large background is nearly all of it. A network trained on that sum can settle for predicting only
    background.
    """

    def construct(self, logits, label):
        log_probability, one_hot, weights = self.prepare(logits, label)
        probability = ops.exp(log_probability)
        both, sizes = probability * one_hot, probability * probability + one_hot * one_hot
        if weights is not None:
            both, sizes = both * weights, sizes * weights
        dice = 2 * both.sum(axis=(2, 3)) / (sizes.sum(axis=(2, 3)) + SMOOTH)            # (N, C)
        there = (one_hot.sum(axis=(2, 3)) > 0).astype("float32")                        # (N, C)
        return (1 - (dice * there).sum(axis=1) / there.sum(axis=1)).mean()


class SumOfLosses(nn.Cell):
    """The sum of several losses of the same logits and labels."""

    def __init__(self, losses: Sequence[nn.Cell]) -> None:
        super().__init__()
        self.losses = nn.CellList(losses)

    def construct(self, logits, label):
        total = 0.0
        for loss in self.losses:
            total += loss(logits, label)
        return total


class MultiCrossEntropyWithLogits(nn.Cell):
    """Weighted sum of a loss, by default the cross entropy, over stacked heads.

    Logits (heads, N, C, H, W) and one-hot labels (N, C, H, W) -> a float32 scalar.

    Args:
        loss (nn.Cell): the loss of one head.
        head_weights (sequence): a weight for each head, from the shallowest; None weighs all by 1.
    """

    def __init__(self, loss: nn.Cell | None = None, head_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.loss = loss or CrossEntropyWithLogits()
        self.head_weights = head_weights

    def construct(self, logits, label):
        total = 0.0
        for head in range(logits.shape[0]):
            weight = 1.0 if self.head_weights is None else self.head_weights[head]
            total += weight * self.loss(logits[head], label)
        return total


LOSSES = {"cross_entropy": CrossEntropyWithLogits, "dice": DiceLoss, "focal": FocalLoss}


@dataclass(frozen=True)
class LossOptions:
    """What makes a loss.

    Attributes:
        loss: a name of LOSSES, or a sum such as cross_entropy+dice.
        class_weights: a weight for each class; empty for none; ["auto"] for weights by the frequency of the classes.
        num_classes: number of classes.
        heads: number of heads that the network stacks in training; 1 for logits without an axis of heads.
        head_weights: a weight for each head, from the shallowest; empty weighs all by 1.
    """
    loss: str
    class_weights: list[Any]
    num_classes: int
    heads: int
    head_weights: list[float]

    @classmethod
    def from_config(cls, config: Config) -> "LossOptions":
        """Take the options loss, class_weights, num_classes and ds_weights, and the heads of the network."""
        heads = entry(config.model_name).heads(NetworkSpec.from_config(config))
        return cls(config.loss, config.class_weights, config.num_classes, heads, config.ds_weights)


def build_loss(options: LossOptions, count_classes: Callable[[], np.ndarray] | None = None) -> nn.Cell:
    """Build the loss: (logits, label) -> a float32 scalar, over stacked heads for a network with deep supervision.

    Args:
        options (LossOptions): which loss.
        count_classes (callable): counts the training pixels of each class, (classes,); for weights by frequency.

    Raises:
        UNetError: an unknown loss, or weights of another number than there are classes or heads.
    """
    weights = class_weights(options.class_weights, options.num_classes, count_classes)
    losses = []
    for name in map(str.strip, options.loss.split("+")):
        if name not in LOSSES:
            raise UNetError(f"loss {options.loss!r}: {name!r} is no loss; known are {', '.join(LOSSES)}, and sums such "
                            f"as cross_entropy+dice")
        losses.append(LOSSES[name](weights))
    loss = losses[0] if len(losses) == 1 else SumOfLosses(losses)
    if options.heads == 1:
        return loss
    if len(options.head_weights) not in (0, options.heads):
        raise UNetError(f"ds_weights {options.head_weights}: expected a weight for each of the {options.heads} heads, "
                        f"or none")
    return MultiCrossEntropyWithLogits(loss, options.head_weights or None)


def class_weights(option: Sequence[Any], num_classes: int,
                  count_classes: Callable[[], np.ndarray] | None = None) -> list[float] | None:
    """Return a weight for each class, or None for an empty ``option``.

    Numbers are taken as they are. ["auto"] weighs each class by the inverse of its frequency: the mean weight of a
    training pixel is 1, and a class without a pixel has weight 1.

    Raises:
        UNetError: the option is neither, or has another number of weights than there are classes.
    """
    if not option:
        return None
    if list(option) == ["auto"]:
        if count_classes is None:
            raise ValueError("class_weights auto needs count_classes")
        counts = np.asarray(count_classes(), np.float64)
        present = counts > 0
        return np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0).tolist()
    try:
        weights = [float(value) for value in option]
    except ValueError:
        raise UNetError(f"class_weights {option}: expected numbers, or auto") from None
    if len(weights) != num_classes or not all(0 <= weight < float("inf") for weight in weights):
        raise UNetError(f"class_weights {weights}: expected {num_classes} weights of at least 0, one a class")
    return weights
