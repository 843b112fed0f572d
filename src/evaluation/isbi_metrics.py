"""V_rand and V_info, the metrics of the ISBI 2012 challenge's board: they compare cells between membranes.

They are the foreground-restricted scores after border thinning of Arganda-Carreras et al. 2015 (Frontiers in
Neuroanatomy 9:142), computed as the board's program does (``trainableSegmentation.metrics`` of Fiji). They compare two
ways to divide a slice into cells, whatever the width of the membranes between them:

* true cells are the 4-connected components of the label's class 1;
* proposed cells are the 4-connected components of the pixels whose probability is above a threshold; a 4-connected
  watershed grows them into the membranes until lines of one pixel are left;
* p_ij is the share of the true cells' pixels that lie in the proposed cell i and in the true cell j; each pixel of a
  line counts as a proposed cell of its own;
* with s_i and t_j, the sums of p_ij over j and over i: V_rand = sum(p_ij^2) / (sum(s_i^2) / 2 + sum(t_j^2) / 2), and
  V_info = 2 I(S;T) / (H(S) + H(T)).

Both are means over the slices, at the threshold with the largest mean. 1 is a perfect score, 0 the worst.
"""
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from scipy import ndimage
from skimage.metrics import contingency_table
from skimage.segmentation import watershed

# Thresholds of the probability of a cell, summed up as the board's program does. By rounding, the last one is a little
# below 1, so a probability of 1 is above it.
THRESHOLDS: tuple[float, ...] = tuple(accumulate([0.0] + 10 * [0.1]))


@dataclass(frozen=True)
class BestThreshold:
    """The best mean of a metric over the slices, and the threshold that gives it.

    Attributes:
        value: the mean, from 0 to 1.
        threshold: the threshold of the membrane's probability; of several with the same mean, the first that the
            board's program tries. A pixel is membrane if its probability is at least the threshold; for a threshold
            of 0, if it is above 0.
    """
    value: float
    threshold: float

    def __str__(self) -> str:
        return f"{self.value:.6f}, threshold of the membrane probability: {self.threshold:.1f}"


class BoardMetrics:
    """Computes V_rand and V_info over any number of slices. Slices whose label has no cell are left out.

    Attributes:
        rand, info: a row for each slice: its scores at all ``THRESHOLDS``.
    """

    def __init__(self) -> None:
        self.rand: list[tuple[float, ...]] = []
        self.info: list[tuple[float, ...]] = []

    def add(self, label: np.ndarray, probability: np.ndarray) -> None:
        """Score one slice.

        Args:
            label (np.ndarray): (H, W), 0 between cells, another number in cells.
            probability (np.ndarray): (H, W) floats from 0 to 1, the probability of a cell.
        """
        cells, count = ndimage.label(label)
        if not count:
            return
        scores: list[tuple[float, float]] = []
        previous = None
        probability = probability.astype(np.float64)    # the board's program compares in double precision
        for threshold in THRESHOLDS:
            proposed = probability > threshold
            unchanged = previous is not None and np.array_equal(proposed, previous)
            scores.append(scores[-1] if unchanged else v_rand_info(cells, segments(proposed)))
            previous = proposed
        rand, info = zip(*scores)
        self.rand.append(rand)
        self.info.append(info)

    def best(self) -> dict[str, BestThreshold]:
        """Return "V_rand" and "V_info" -> BestThreshold; an empty dictionary if no slice has a score."""
        if not self.rand:
            return {}
        return {"V_rand": _best(self.rand), "V_info": _best(self.info)}


def _best(rows: list[tuple[float, ...]]) -> BestThreshold:
    means = np.mean(rows, axis=0)
    index = int(means.argmax())
    return BestThreshold(float(means[index]), round(1 - THRESHOLDS[index], 1))


def segments(proposed: np.ndarray) -> np.ndarray:
    """Number the proposed cells, grown until lines of one pixel are left between them.

    If there is no cell or only one, the whole slice is one segment: a watershed of one value has one basin.

    Args:
        proposed (np.ndarray): (H, W) bool, True in cells.

    Returns:
        np.ndarray: (H, W) integers from 1; each pixel of a line has a number of its own.
    """
    markers, count = ndimage.label(proposed)
    if count < 2:
        return np.ones(proposed.shape, markers.dtype)
    grown = watershed(~proposed, markers, connectivity=1, watershed_line=True)
    lines = grown == 0
    grown[lines] = count + 1 + np.arange(np.count_nonzero(lines))
    return grown


def v_rand_info(cells: np.ndarray, proposed: np.ndarray) -> tuple[float, float]:
    """Compute V_rand and V_info of the proposed cells of a slice against the true cells.

    If one of the two is a single segment, it carries no information: I(S;T) is 0, and so is V_info. If both are, they
    agree, and V_info is 1.

    Args:
        cells (np.ndarray): (H, W) numbers of true cells, 0 between them; at least one pixel is not 0.
        proposed (np.ndarray): (H, W) numbers of proposed cells.

    Returns:
        tuple: (V_rand, V_info), from 0 to 1.
    """
    inside = cells > 0
    table = contingency_table(cells[inside], proposed[inside]) / np.count_nonzero(inside)
    true, found, both = table.sum(axis=1), table.sum(axis=0), table.data
    rand = 2 * _squares(both) / (_squares(found) + _squares(true))
    entropies = _entropy(true) + _entropy(found)
    if entropies == 0:
        return rand, 1.0
    return rand, 2 * (entropies - _entropy(both)) / entropies


def _squares(shares: np.ndarray) -> float:
    return float(np.sum(np.square(shares)))


def _entropy(shares: np.ndarray) -> float:
    shares = np.asarray(shares)
    shares = shares[shares > 0]
    return float(-np.sum(shares * np.log(shares)))
