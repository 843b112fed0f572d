"""Losses over NCHW logits and one-hot labels, in float32 whatever the logits are.

Logits are (N, C, H, W). A network with one output channel gives (N, 1, H, W), which stand for two classes: the sigmoid
of x is the softmax of (0, x), so the cross entropy is then the binary one. Labels are one-hot (N, C, H, W), with two
classes for one output channel. A further channel of the label holds weights of the pixels (see
``src.data.border_weights``), and one after it may mark the skeletons of the classes (``src.data.skeletons``). The
weight of a pixel is that times the weight of its class. Means are over pixels, not over weights, so the loss of a large
batch is the mean of the losses of its parts. With ``ignore_index``, the label of an ignored pixel is zero in all
classes; means are then over the other pixels of the batch.
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import Tensor, nn, ops

from src.data import skeletons
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.networks.registry import NetworkSpec, entry

FOCUS = 2.0         # gamma of the focal loss, the value of its paper
SMOOTH = 1e-6       # keeps the Dice of a class without pixels from dividing by zero


class _Loss(nn.Cell):
    """Base of the losses of one head: log probabilities, one-hot labels and the weights of the pixels.

    Args:
        class_weights (sequence): a weight for each class, or None.
        ignoring (bool): leave out the pixels whose label is zero in all classes. Without such pixels the loss is the
            same up to rounding.
    """

    def __init__(self, class_weights: Sequence[float] | None = None, ignoring: bool = False) -> None:
        super().__init__()
        self.ignoring = ignoring
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
            one_hot, weights = label[:, :classes], label[:, classes:classes + 1]    # (N, C, H, W), (N, 1, H, W)
        if self.class_weights is not None:
            of_class = (one_hot * self.class_weights).sum(axis=1, keepdims=True)        # (N, 1, H, W)
            weights = of_class if weights is None else weights * of_class
        return ops.log_softmax(logits, axis=1), one_hot, weights

    def mean(self, loss, one_hot, weights):
        """Return the mean of (N, H, W) losses over the pixels that count."""
        if weights is not None:
            loss = loss * weights[:, 0]
        if not self.ignoring:
            return loss.mean()
        counts = one_hot.sum(axis=1)                                            # (N, H, W), 0 or 1
        return (loss * counts).sum() / ops.maximum(counts.sum(), 1.0)


    def mean_lost(self, share, pixels, may_be_empty):
        """Return 1 - (N, C) shares, the mean over the classes that an image has, then over the images with any.

        ``pixels`` (N, C, H, W) says which classes it has; with ``may_be_empty`` there may be images without any.
        """
        there = (pixels.sum(axis=(2, 3)) > 0).astype("float32")                         # (N, C)
        if may_be_empty:
            classes = there.sum(axis=1)
            loss = 1 - (share * there).sum(axis=1) / ops.maximum(classes, 1.0)
            counts = (classes > 0).astype("float32")
            return (loss * counts).sum() / ops.maximum(counts.sum(), 1.0)
        return (1 - (share * there).sum(axis=1) / there.sum(axis=1)).mean()


class CrossEntropyWithLogits(_Loss):
    """Softmax cross entropy, mean over all pixels of the batch."""

    def construct(self, logits, label):
        log_probability, one_hot, weights = self.prepare(logits, label)
        return self.mean(-(log_probability * one_hot).sum(axis=1), one_hot, weights)


class FocalLoss(_Loss):
    """Focal loss: cross entropy times (1 - p)^2, p the probability of the pixel's class; mean over all pixels.

    Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, 2017, arXiv:1708.02002.
    """

    def construct(self, logits, label):
        log_probability, one_hot, weights = self.prepare(logits, label)
        own = (log_probability * one_hot).sum(axis=1)                           # (N, H, W)
        return self.mean(-((1 - ops.exp(own)) ** FOCUS) * own, one_hot, weights)


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
        if self.ignoring:
            sizes = sizes * one_hot.sum(axis=1, keepdims=True)
        dice = 2 * both.sum(axis=(2, 3)) / (sizes.sum(axis=(2, 3)) + SMOOTH)            # (N, C)
        return self.mean_lost(dice, one_hot, self.ignoring)


class SkeletonRecall(_Loss):
    """1 - recall of the skeletons: sum(p s) / sum(s), the mean over the images and the classes that have a skeleton.

    s is 1 on the skeleton of a class; see ``src.data.skeletons`` for the source. The last channel of the label marks
    the skeletons of all classes.
    """

    def construct(self, logits, label):
        log_probability, one_hot, weights = self.prepare(logits, label)
        of_class = one_hot * label[:, -1:].astype("float32")                            # (N, C, H, W)
        if weights is not None:
            of_class = of_class * weights
        found = (ops.exp(log_probability) * of_class).sum(axis=(2, 3))                  # (N, C)
        return self.mean_lost(found / (of_class.sum(axis=(2, 3)) + SMOOTH), of_class, True)


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

    Logits (heads, N, C, H, W) and one-hot labels (N, C, H, W) -> a float32 scalar. Logits (N, C, H, W) are one head.

    Args:
        loss (nn.Cell): the loss of one head.
        head_weights (sequence): a weight for each head, from the shallowest; None weighs all by 1.
    """

    def __init__(self, loss: nn.Cell | None = None, head_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.loss = loss or CrossEntropyWithLogits()
        self.head_weights = head_weights

    def construct(self, logits, label):
        if logits.ndim == label.ndim:       # scripts of the model zoo take this loss for every network
            return self.loss(logits, label)
        total = 0.0
        for head in range(logits.shape[0]):
            weight = 1.0 if self.head_weights is None else self.head_weights[head]
            total += weight * self.loss(logits[head], label)
        return total


LOSSES = {"cross_entropy": CrossEntropyWithLogits, "dice": DiceLoss, "focal": FocalLoss, skeletons.LOSS: SkeletonRecall}


@dataclass(frozen=True)
class LossOptions:
    """What makes a loss.

    Attributes:
        loss: a name of LOSSES, or a sum such as cross_entropy+dice.
        heads: number of heads that the network stacks in training; 1 for logits without an axis of heads.
        head_weights: a weight for each head, from the shallowest; empty weighs all by 1.
        ignoring: labels have pixels that do not count.
    """
    loss: str
    heads: int
    head_weights: list[float]
    ignoring: bool = False

    @classmethod
    def from_config(cls, config: Config) -> "LossOptions":
        """Take the options loss, ds_weights and ignore_index, and the heads of the network."""
        heads = entry(config.model_name).heads(NetworkSpec.from_config(config))
        return cls(config.loss, heads, config.ds_weights, config.ignore_index is not None)


def build_loss(options: LossOptions, class_weights: Sequence[float] | None = None) -> nn.Cell:
    """Build the loss: (logits, label) -> a float32 scalar, over stacked heads for a network with deep supervision.

    Args:
        options (LossOptions): which loss.
        class_weights (sequence): a weight for each class; None weighs all by 1.

    Raises:
        UNetError: an unknown loss, or weights of another number than there are heads.
    """
    losses = []
    for name in map(str.strip, options.loss.split("+")):
        if name not in LOSSES:
            raise UNetError(f"loss {options.loss!r}: {name!r} is no loss; known are {', '.join(LOSSES)}, and sums such "
                            f"as cross_entropy+dice")
        losses.append(LOSSES[name](class_weights, options.ignoring))
    loss = losses[0] if len(losses) == 1 else SumOfLosses(losses)
    if len(options.head_weights) not in (0, options.heads):
        raise UNetError(f"ds_weights {options.head_weights}: the network has {options.heads} head"
                        f"{'s' * (options.heads > 1)}; expected a weight for each, or none")
    if options.heads == 1:
        return loss
    return MultiCrossEntropyWithLogits(loss, options.head_weights or None)
