"""Metrics on NumPy arrays alone.

Three families that readers mix up:

* soft Dice and IoU over the whole one-hot volume of an image (the model zoo's ``dice_coeff``);
* hard metrics of the foreground of an image (MindSpore's CPU case study), of which the mean over images counts;
* hard metrics per class from the pixel counts of all images.
"""
import numpy as np

HARD_METRICS = ("Acc", "IoU", "Dice", "Sens", "Spec")

# The names that eval_metrics takes, means over images all of them, and what log lines for readers call them.
METRIC_NAMES = {"dice_coeff": "soft Dice", "iou": "soft IoU", "acc": "Acc", "hard_iou": "IoU", "hard_dice": "Dice",
           "sens": "Sens", "spec": "Spec"}

SMOOTH = 1e-5       # of the case study, in the denominators


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


def foreground_metrics(predicted, label):
    """Hard metrics of one image: its foreground, all classes but 0, against the background.

    The formulas are those of MindSpore's CPU case study ("基于MindSpore框架的Unet-2D案例实现", section 2.4, class
    ``metrics_``), which knows two classes. With tp, fp, fn, tn the pixels of the image, and s = 1e-5:

    acc = (tp + tn) / (tp + fp + fn + tn), hard_iou = tp / (tp + fp + fn + s), hard_dice = 2 tp / (2 tp + fp + fn + s),
    sens = tp / (tp + fn + s), spec = tn / (tn + fp + s).

    So an image without foreground, in label and prediction, has IoU, Dice and sensitivity 0, and one without
    background has specificity 0.

    Args:
        predicted (np.ndarray): (H, W) class numbers. Of two classes, the rounded probability of class 1; an exact
            half is class 0, as NumPy rounds it and as the largest of two equal probabilities is found.
        label (np.ndarray): (H, W) class numbers.

    Returns:
        dict: name -> float.
    """
    counts = ClassCounts(2)
    counts.add(predicted > 0, label > 0)
    (tn, fp), (fn, tp) = counts.matrix.tolist()
    return {"acc": (tp + tn) / label.size, "hard_iou": tp / (tp + fp + fn + SMOOTH),
            "hard_dice": 2 * tp / (2 * tp + fp + fn + SMOOTH), "sens": tp / (tp + fn + SMOOTH),
            "spec": tn / (tn + fp + SMOOTH)}


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
