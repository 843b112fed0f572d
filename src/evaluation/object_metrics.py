"""Metrics of objects, such as nuclei and cells: they compare two label images, in which 0 is the background.

The IoU of a true and a predicted object is the number of pixels that both have over the number that at least one has.
At a threshold, a pair matches if its IoU is at least the threshold, each object once; where objects could match in
several ways, the assignment is taken that matches most, and of those the one with the largest sum of IoUs. TP are the
matched pairs, FP the predicted objects without a match, FN the true ones:

accuracy = TP / (TP + FP + FN), precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN),
panoptic quality = (sum of the matched IoUs) / (TP + FP / 2 + FN / 2).

The accuracy is the score of the Data Science Bowl 2018, often called average precision; the panoptic quality is that of
Kirillov et al. 2019, arXiv:1801.00868. The mean over the images and the values of all objects together, pooled, differ:
an image with few objects counts as much as one with many only in the mean.
"""
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from src.model_utils.errors import UNetError

# Twentieths, since their division rounds as that of an IoU does.
THRESHOLDS: tuple[float, ...] = tuple(number / 20 for number in range(10, 20))      # 0.5, 0.55, ... 0.95
BAND_PIXELS = 2**24     # pixels that are counted together


@dataclass(frozen=True)
class MatchCounts:
    """What matching at one threshold has found; sums of these are pooled values.

    Attributes:
        tp, fp, fn: matched pairs, predicted objects without a match, true objects without one.
        iou_sum: sum of the IoUs of the matched pairs.
    """
    tp: int = 0
    fp: int = 0
    fn: int = 0
    iou_sum: float = 0.0

    def __add__(self, other: "MatchCounts") -> "MatchCounts":
        return MatchCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.iou_sum + other.iou_sum)

    def metrics(self) -> dict[str, float]:
        """Return name -> value. Without any object all are 1; the mean IoU of no matched pair is NaN."""
        tp, fp, fn = self.tp, self.fp, self.fn
        if not tp + fp + fn:
            return dict.fromkeys(("accuracy", "precision", "recall", "f1", "mean_iou", "panoptic_quality"), 1.0)
        return {"accuracy": tp / (tp + fp + fn), "precision": tp / max(1, tp + fp), "recall": tp / max(1, tp + fn),
                "f1": 2 * tp / (2 * tp + fp + fn), "mean_iou": self.iou_sum / tp if tp else float("nan"),
                "panoptic_quality": self.iou_sum / (tp + (fp + fn) / 2)}


@dataclass(frozen=True)
class Overlaps:
    """The objects of two label images, and all pairs of them that overlap.

    Attributes:
        true, predicted: the numbers of the objects, ascending.
        true_areas, predicted_areas: their areas in pixels.
        pairs: (n, 2) places in ``true`` and in ``predicted``.
        common: (n,) pixels that the two of a pair have in common.
    """
    true: np.ndarray
    predicted: np.ndarray
    true_areas: np.ndarray
    predicted_areas: np.ndarray
    pairs: np.ndarray
    common: np.ndarray

    @property
    def ious(self) -> np.ndarray:
        """(n,) float64 IoU of each pair."""
        return self.common / (self.true_areas[self.pairs[:, 0]] + self.predicted_areas[self.pairs[:, 1]] - self.common)

    def of_same_class(self, true_classes: np.ndarray, predicted_classes: np.ndarray) -> "Overlaps":
        """Leave out the pairs of different classes; the arguments are number of an object -> its class."""
        same = (true_classes[self.true[self.pairs[:, 0]]] == predicted_classes[self.predicted[self.pairs[:, 1]]])
        return Overlaps(self.true, self.predicted, self.true_areas, self.predicted_areas, self.pairs[same],
                        self.common[same])

    def matches(self, threshold: float) -> np.ndarray:
        """Return the places in ``pairs`` of those that match at a threshold."""
        ious = self.ious
        places = np.flatnonzero(ious >= threshold)
        pairs = self.pairs[places]
        if all(len(np.unique(side)) == len(side) for side in pairs.T):
            return places       # always above 0.5, where no object can have two partners
        return places[np.sort(np.concatenate([group[_assign(pairs[group], ious[places[group]])]
                                              for group in _connected(pairs)]))]

    def counts(self, threshold: float) -> MatchCounts:
        """Match at a threshold, and count."""
        matched = self.matches(threshold)
        return MatchCounts(len(matched), len(self.predicted) - len(matched), len(self.true) - len(matched),
                           float(self.ious[matched].sum()))

    def merging(self) -> np.ndarray:
        """Return the places in ``predicted`` of objects that hold more than half of each of several true ones."""
        return _repeated(self.pairs[2 * self.common > self.true_areas[self.pairs[:, 0]], 1])

    def divided(self) -> np.ndarray:
        """Return the places in ``true`` of objects that hold more than half of each of several predicted ones."""
        return _repeated(self.pairs[2 * self.common > self.predicted_areas[self.pairs[:, 1]], 0])


def overlaps(true: np.ndarray, predicted: np.ndarray) -> Overlaps:
    """Count the pixels that the objects of two label images have in common.

    Args:
        true, predicted (np.ndarray): label images, whole numbers of one shape; 0 is the background.

    Raises:
        UNetError: the shapes differ, or the numbers are not those of objects.
    """
    for name, labels in (("true", true), ("predicted", predicted)):
        if labels.dtype.kind not in "ui" or labels.size and not 0 <= labels.min() <= labels.max() < 2**32:
            raise UNetError(f"the {name} label image holds {labels.dtype} numbers from {labels.min()} to "
                            f"{labels.max()}; expected whole numbers from 0, the background, to 4294967295")
    if true.shape != predicted.shape:
        raise UNetError(f"the true label image has the shape {true.shape}, the predicted one {predicted.shape}; the "
                        f"two must agree")
    firsts, seconds, counts = _contingency(true, predicted)
    first, first_areas, first_place = _areas(firsts, counts)
    second, second_areas, second_place = _areas(seconds, counts)
    both = (firsts > 0) & (seconds > 0)
    pairs = np.stack([first_place[both], second_place[both]], axis=1)
    return Overlaps(first, second, first_areas, second_areas, pairs, counts[both])


def _contingency(true: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sparse contingency table: numbers in the one, numbers in the other, pixels that have both."""
    true, predicted = true.reshape(-1), predicted.reshape(-1)
    parts = [_grouped(*_runs(true[start:start + BAND_PIXELS], predicted[start:start + BAND_PIXELS]))[:2]
             for start in range(0, true.size, BAND_PIXELS)] or [(np.empty(0, np.uint64), np.empty(0, np.int64))]
    keys, counts, _ = _grouped(*(np.concatenate(columns) for columns in zip(*parts)))
    return (keys >> np.uint64(32)).astype(np.int64), (keys & np.uint64(2**32 - 1)).astype(np.int64), counts


def _runs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a key of both numbers, and the length, for each run of equal pairs of numbers: far fewer than pixels."""
    changes = np.flatnonzero((first[1:] != first[:-1]) | (second[1:] != second[:-1])) + 1
    starts = np.concatenate([[0], changes])
    lengths = np.diff(starts, append=first.size)
    return first[starts].astype(np.uint64) << np.uint64(32) | second[starts].astype(np.uint64), lengths


def _grouped(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each key once, the sums of their counts, and the place of each of ``keys`` among them."""
    found, place = np.unique(keys, return_inverse=True)
    return found, np.bincount(place, counts, len(found)).astype(np.int64), place


def _areas(numbers: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the objects among the numbers of a contingency table, their areas, and the place of each number."""
    found, areas, place = _grouped(numbers, counts)
    background = np.count_nonzero(found == 0)       # 1 if there is any; it comes first
    return found[background:], areas[background:], place - background


def _connected(pairs: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the places of the pairs that share objects, directly or through others."""
    firsts, seconds = pairs[:, 0], pairs[:, 1] + pairs[:, 0].max() + 1
    size = int(seconds.max()) + 1
    groups = connected_components(coo_array((np.ones(len(pairs)), (firsts, seconds)), (size, size)),
                                  directed=False)[1][firsts]
    order = np.argsort(groups, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def _assign(pairs: np.ndarray, ious: np.ndarray) -> np.ndarray:
    """Return the places of as many pairs as possible, no object twice, with the largest sum of IoUs."""
    if len(pairs) == 1:
        return np.zeros(1, int)
    rows, columns = (np.unique(side, return_inverse=True)[1] for side in pairs.T)
    gain = np.zeros((rows.max() + 1, columns.max() + 1))
    gain[rows, columns] = 1 + ious / (2 * len(pairs))       # one pair more is worth more than all IoUs together
    chosen = np.zeros(gain.shape, bool)
    chosen[linear_sum_assignment(gain, maximize=True)] = True
    return np.flatnonzero(chosen[rows, columns])


def _repeated(numbers: np.ndarray) -> np.ndarray:
    found, times = np.unique(numbers, return_counts=True)
    return found[times > 1]
