"""Losses over NCHW logits and one-hot labels, in float32 whatever the logits are.

Logits are (N, C, H, W); those of a network with one output channel are (N, 1, H, W), and stand for two classes: the
sigmoid of x is the softmax of (0, x), so the cross entropy is then the binary one. Labels are one-hot (N, C, H, W),
two classes for one output channel; a further channel holds weights of the pixels (see ``src.data.border_weights``). The
weight of a pixel is that times the weight of its class. Means are over pixels, not over weights, so that the loss of
a large batch is the mean of the losses of its parts.
"""
import numpy as np
from mindspore import Tensor, nn, ops

from src.model_utils.errors import UNetError
from src.networks.registry import NetworkSpec, entry

FOCUS = 2.0         # gamma of the focal loss, the value of its paper
SMOOTH = 1e-6       # keeps the Dice of a class that is nowhere from dividing by zero


class _Loss(nn.Cell):
    """What the losses share: log probabilities, one-hot labels and the weights of the pixels.

    Args:
        class_weights (sequence): a weight for each class, or None.
    """

    def __init__(self, class_weights=None):
        super().__init__()
        self.class_weights = None
        if class_weights is not None:
            self.class_weights = Tensor(np.array(class_weights, np.float32).reshape(1, -1, 1, 1))

    def prepare(self, logits, label):
        """(N, C, H, W) log probabilities, (N, C, H, W) one-hot labels, and (N, 1, H, W) weights or None."""
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

    Milletari, Navab, Ahmadi: V-Net, 2016, arXiv:1606.04797. The Dice of ``src.evaluation.metrics`` takes all classes
    in one sum, of which a large background is nearly all: trained on that, a network can settle for the background
    alone.
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

    def __init__(self, losses):
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

    def __init__(self, loss=None, head_weights=None):
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


def build_loss(config, count_classes=None):
    """The loss that the options ask for: over stacked heads for a network with deep supervision.

    Args:
        config (Config): loss, class_weights, ds_weights and the network's options count.
        count_classes (callable): gives (classes,) counts of the training pixels, for ``class_weights: auto``.

    Raises:
        UNetError: an unknown loss, or weights of another number than there are classes or heads.
    """
    weights = class_weights(config.class_weights, config.num_classes, count_classes)
    losses = []
    for name in config.loss.split("+"):
        if name.strip() not in LOSSES:
            raise UNetError(f"loss {config.loss!r}: {name.strip()!r} is no loss; known are {', '.join(LOSSES)}, and "
                            f"sums such as cross_entropy+dice")
        losses.append(LOSSES[name.strip()](weights))
    loss = losses[0] if len(losses) == 1 else SumOfLosses(losses)
    heads = entry(config.model_name).heads(NetworkSpec.from_config(config))
    if heads > 1:
        if len(config.ds_weights) not in (0, heads):
            raise UNetError(f"ds_weights {config.ds_weights}: expected a weight for each of the {heads} heads, or none")
        return MultiCrossEntropyWithLogits(loss, config.ds_weights or None)
    return loss


def class_weights(option, num_classes, count_classes):
    """A weight for each class, or None: numbers as they are; ``auto`` by the inverse of the classes' frequency.

    With ``auto`` the mean weight of a training pixel is 1; a class without a pixel has weight 1.
    """
    if not option:
        return None
    if option == ["auto"]:
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
