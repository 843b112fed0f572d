"""Metrics on NumPy arrays alone.

Two families that readers mix up:

* soft Dice and IoU over the whole one-hot volume of an image (the model zoo's ``dice_coeff``);
* hard metrics per class from counts of pixels.
"""
import numpy as np

HARD_METRICS = ("Acc", "IoU", "Dice", "Sens", "Spec")


def soft_dice_iou(prediction, label):
    """Dice and IoU of one image over all classes at once.

    dice = 2 sum(p y) / (sum(p^2) + sum(y^2) + 1e-6), iou = dice / (2 - dice).

    Args:
        prediction (np.ndarray): (H, W, C) probabilities, or zeros and ones, in [0, 1].
        label (np.ndarray): (H, W, C) one-hot classes.

    Returns:
        tuple: (dice, iou), floats. With a one-hot prediction and all classes, Dice is the pixel accuracy.
    """
    p, y = prediction.astype(np.float64).ravel(), label.astype(np.float64).ravel()
    dice = float(2 * p.dot(y) / (p.dot(p) + y.dot(y) + 1e-6))
    return dice, dice / (2 - dice)


class ClassCounts:
    """Counts of pixels over any number of images: row = class of the label, column = predicted class."""

    def __init__(self, num_classes):
        self.matrix = np.zeros((num_classes, num_classes), np.int64)

    def add(self, predicted, label):
        """Count one image; both arguments are integer arrays of class numbers, of one shape."""
        classes = len(self.matrix)
        flat = label.astype(np.int64).ravel() * classes + predicted.astype(np.int64).ravel()
        self.matrix += np.bincount(flat, minlength=classes ** 2).reshape(classes, classes)

    def per_class(self):
        """Return name -> (C,) float array of Acc, IoU, Dice, Sens and Spec, one against the rest.

        A class absent from both prediction and label is not-a-number, and so is a ratio without a
        denominator: the sensitivity of a class that no label has.
        """
        tp = np.diag(self.matrix).astype(np.float64)
        fp, fn = self.matrix.sum(axis=0) - tp, self.matrix.sum(axis=1) - tp
        tn = self.matrix.sum() - tp - fp - fn
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = {"Acc": (tp + tn) / (tp + tn + fp + fn), "IoU": tp / (tp + fp + fn),
                      "Dice": 2 * tp / (2 * tp + fp + fn), "Sens": tp / (tp + fn), "Spec": tn / (tn + fp)}
        absent = tp + fp + fn == 0
        return {name: np.where(absent, np.nan, values) for name, values in scores.items()}

    def summary(self):
        """Return name -> {"per_class": [...], "mean": x, "foreground": x}, floats; not-a-number is None.

        ``mean`` is over the classes that have a value. ``foreground`` is class 1 of two classes; of more, the
        mean over all classes but 0.
        """
        result = {}
        for name, values in self.per_class().items():
            result[name] = {"per_class": [_number(value) for value in values], "mean": _mean(values),
                            "foreground": _mean(values[1:])}
        return result


def _mean(values):
    values = values[~np.isnan(values)]
    return _number(values.mean()) if len(values) else None


def _number(value):
    return None if np.isnan(value) else float(value)
