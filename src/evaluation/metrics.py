"""Segmentation metrics of NumPy arrays.

There are three families:

* soft Dice and IoU over the whole one-hot volume of an image (the model zoo's ``dice_coeff``);
* hard metrics of the foreground of one image (MindSpore's CPU case study), reported as the mean over the images;
* hard metrics of each class from the pixel counts of all images together.
"""
from typing import TypedDict

import numpy as np

HARD_METRICS = ("Acc", "IoU", "Dice", "Sens", "Spec")

# Metrics of objects that match at an IoU of 0.5, see ``src.evaluation.object_metrics`` -> their names in log lines.
OBJECT_METRICS = {"object_accuracy": "accuracy of objects", "object_mean_accuracy": "accuracy of objects, IoU 0.5-0.95",
                  "object_f1": "F1 of objects", "object_pq": "panoptic quality"}

# The values of the option eval_metrics -> their names in log lines. All are means over the images.
METRIC_NAMES = {"dice_coeff": "soft Dice", "iou": "soft IoU", "acc": "Acc", "hard_iou": "IoU", "hard_dice": "Dice",
                "sens": "Sens", "spec": "Spec", **OBJECT_METRICS}

SMOOTH = 1e-5       # the case study adds it to the denominators


def soft_dice_iou(prediction: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Compute Dice and IoU of one image over all classes at once.

    dice = 2 sum(p y) / (sum(p^2) + sum(y^2) + 1e-6), iou = dice / (2 - dice).

    Args:
        prediction (np.ndarray): (..., C) probabilities, or zeros and ones, in [0, 1].
        label (np.ndarray): (..., C) one-hot classes.

    Returns:
        tuple: (dice, iou). With a one-hot prediction and all classes, Dice is the pixel accuracy.
    """
    return dice_iou_of(dice_sums(prediction, label))


def dice_sums(prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return the sums of ``soft_dice_iou`` over a part of an image, (3,) float64: p y, p^2 and y^2."""
    p, y = prediction.astype(np.float64).ravel(), label.astype(np.float64).ravel()
    return np.array([p.dot(y), p.dot(p), y.dot(y)])


def dice_iou_of(sums: np.ndarray) -> tuple[float, float]:
    """Return (dice, iou) of the ``dice_sums`` of a whole image."""
    both, predicted, labelled = sums
    dice = float(2 * both / (predicted + labelled + 1e-6))
    return dice, dice / (2 - dice)


def foreground_metrics(predicted: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Compute the hard metrics of one image: its foreground (all classes but 0) against the background.

    The formulas are those of MindSpore's CPU case study ("基于MindSpore框架的Unet-2D案例实现", section 2.4, class
    ``metrics_``), which has two classes. With tp, fp, fn, tn the numbers of pixels in the image, and s = 1e-5:

    acc = (tp + tn) / (tp + fp + fn + tn), hard_iou = tp / (tp + fp + fn + s), hard_dice = 2 tp / (2 tp + fp + fn + s),
    sens = tp / (tp + fn + s), spec = tn / (tn + fp + s).

    If neither label nor prediction has foreground, IoU, Dice and sensitivity are 0. If the label has no background,
    the specificity is 0.

    Args:
        predicted (np.ndarray): class numbers, of any shape. For two classes, this is the rounded probability of class
            1; a probability of exactly one half is class 0, both by NumPy's rounding and by argmax.
        label (np.ndarray): class numbers of the same shape.

    Returns:
        dict: name -> value; the names are those of ``METRIC_NAMES`` without the soft metrics.
    """
    counts = ClassCounts(2)
    counts.add(predicted > 0, label > 0)
    return foreground_of(counts)


def foreground_of(counts: "ClassCounts") -> dict[str, float]:
    """Return ``foreground_metrics`` of the pixel counts of an image, of any number of classes."""
    matrix = counts.matrix
    tn, fp, fn, tp = (int(part.sum()) for part in (matrix[0, 0], matrix[0, 1:], matrix[1:, 0], matrix[1:, 1:]))
    return {"acc": (tp + tn) / (tp + fp + fn + tn), "hard_iou": tp / (tp + fp + fn + SMOOTH),
            "hard_dice": 2 * tp / (2 * tp + fp + fn + SMOOTH), "sens": tp / (tp + fn + SMOOTH),
            "spec": tn / (tn + fp + SMOOTH)}


class MetricSummary(TypedDict):
    """One of ``HARD_METRICS``: its value for each class, and two means; None where it is undefined."""
    per_class: list[float | None]
    mean: float | None
    foreground: float | None


class ClassCounts:
    """Counts pixels over any number of images: row = class of the label, column = predicted class.

    Attributes:
        matrix (np.ndarray): (classes, classes) int64 pixel counts.
    """

    def __init__(self, num_classes: int) -> None:
        self.matrix = np.zeros((num_classes, num_classes), np.int64)

    def add(self, predicted: np.ndarray, label: np.ndarray) -> None:
        """Count one image; both arguments hold class numbers and have the same shape."""
        classes = len(self.matrix)
        flat = label.astype(np.int64).ravel() * classes + predicted.astype(np.int64).ravel()
        self.matrix += np.bincount(flat, minlength=classes ** 2).reshape(classes, classes)

    def per_class(self) -> dict[str, np.ndarray]:
        """Return name -> (C,) float64 array of Acc, IoU, Dice, Sens and Spec, each class against the rest.

        All values are NaN for a class that neither prediction nor label has. A ratio without a denominator is NaN
        too: the sensitivity of a class that no label has.
        """
        tp = np.diag(self.matrix).astype(np.float64)
        fp, fn = self.matrix.sum(axis=0) - tp, self.matrix.sum(axis=1) - tp
        tn = self.matrix.sum() - tp - fp - fn
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = {"Acc": (tp + tn) / (tp + tn + fp + fn), "IoU": tp / (tp + fp + fn),
                      "Dice": 2 * tp / (2 * tp + fp + fn), "Sens": tp / (tp + fn), "Spec": tn / (tn + fp)}
        absent = tp + fp + fn == 0
        return {name: np.where(absent, np.nan, values) for name, values in scores.items()}

    def summary(self) -> dict[str, MetricSummary]:
        """Return name -> MetricSummary.

        ``mean`` is over the classes that have a value. ``foreground`` is class 1 if there are two classes; of more
        classes, it is the mean over all but 0.
        """
        return {name: {"per_class": [_none_for_nan(value) for value in values], "mean": _mean(values),
                       "foreground": _mean(values[1:])} for name, values in self.per_class().items()}


def _mean(values: np.ndarray) -> float | None:
    values = values[~np.isnan(values)]
    return _none_for_nan(values.mean()) if len(values) else None


def _none_for_nan(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
