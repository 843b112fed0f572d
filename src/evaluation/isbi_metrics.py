"""V_rand and V_info, the ISBI 2012 board's metrics of cells between membranes. NumPy, SciPy and scikit-image alone.

The foreground-restricted scores after border thinning of Arganda-Carreras et al. 2015 (Frontiers in Neuroanatomy
9:142), computed as the board's program does (``trainableSegmentation.metrics`` of Fiji). They compare two ways to cut
a slice into cells, and do not mind how wide the membranes between them are:

* true cells are the 4-connected components of the label's class 1;
* proposed cells are the 4-connected components of the pixels whose probability is above a threshold; a 4-connected
  watershed lets them grow into the membranes until lines of one pixel are left;
* p_ij is the share of the pixels that lie in the proposed cell i and in the true cell j, over the pixels of true cells
  alone; each pixel of a line counts as a proposed cell of its own;
* with s_i and t_j, the sums of p_ij over j and over i: V_rand = sum(p_ij^2) / (sum(s_i^2) / 2 + sum(t_j^2) / 2), and
  V_info = 2 I(S;T) / (H(S) + H(T)).

Both are means over the slices, at the threshold where that mean is largest. 1 is a perfect score, 0 the worst.
"""
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from scipy import ndimage
from skimage.metrics import contingency_table
from skimage.segmentation import watershed

# Of the probability of a cell, summed up as the board's program does: the last one is a little below 1, so it takes
# the pixels that are cells beyond doubt.
THRESHOLDS = tuple(accumulate([0.0] + 10 * [0.1]))


@dataclass(frozen=True)
class Best:
    """The best of a metric's means over the slices.

    Attributes:
        value: from 0 to 1.
        threshold: where it is reached (of several thresholds, the first that the board's program tries), in terms of
            the membrane: a pixel counts as membrane from this probability of a membrane on, at 0 above it.
    """
    value: float
    threshold: float

    def __str__(self):
        return f"{self.value:.6f}, threshold of the membrane probability: {self.threshold:.1f}"


class BoardMetrics:
    """V_rand and V_info over any number of slices.

    ``rand`` and ``info`` hold a slice's scores at all ``THRESHOLDS`` in a row. A slice whose label has no cell has
    no score, and is left out.
    """

    def __init__(self):
        self.rand, self.info = [], []

    def add(self, label, probability):
        """Score one slice.

        Args:
            label (np.ndarray): (H, W), not 0 where cells are.
            probability (np.ndarray): (H, W) floats from 0 to 1, that a pixel belongs to a cell.
        """
        cells, count = ndimage.label(label)
        if not count:
            return
        scores, before = [], None
        probability = probability.astype(np.float64)    # as the board compares
        for threshold in THRESHOLDS:
            proposed = probability > threshold
            if before is None or not np.array_equal(proposed, before):
                score = v_rand_info(cells, segments(proposed))
            scores.append(score)
            before = proposed
        rand, info = zip(*scores)
        self.rand.append(rand)
        self.info.append(info)

    def best(self):
        """Return "V_rand" and "V_info" -> Best; an empty dictionary without a slice that has a score."""
        if not self.rand:
            return {}
        return {"V_rand": _best(self.rand), "V_info": _best(self.info)}


def _best(rows):
    means = np.mean(rows, axis=0)
    index = int(means.argmax())
    return Best(float(means[index]), round(1 - THRESHOLDS[index], 1))


def segments(proposed):
    """Number the cells of a proposal, grown until lines of one pixel are left between them.

    Without any cell the whole slice is one segment, as one cell is: a watershed of one value has one basin.

    Args:
        proposed (np.ndarray): (H, W) bool, the pixels of cells.

    Returns:
        np.ndarray: (H, W) integers, from 1 on; each pixel of a line has a number of its own.
    """
    markers, count = ndimage.label(proposed)
    if count < 2:
        return np.ones(proposed.shape, markers.dtype)
    grown = watershed(~proposed, markers, connectivity=1, watershed_line=True)
    lines = grown == 0
    grown[lines] = count + 1 + np.arange(np.count_nonzero(lines))
    return grown


def v_rand_info(cells, proposed):
    """V_rand and V_info of one cut of a slice against another.

    Where one of the two is a single segment, there is nothing to know of it, I(S;T) is 0, and V_info is 0. Where
    both are, they agree, and V_info is 1.

    Args:
        cells (np.ndarray): (H, W) numbers of true cells, 0 between them; at least one pixel is not 0.
        proposed (np.ndarray): (H, W) numbers of proposed cells.

    Returns:
        tuple: (V_rand, V_info), floats from 0 to 1.
    """
    inside = cells > 0
    table = contingency_table(cells[inside], proposed[inside]) / np.count_nonzero(inside)
    true, found, both = table.sum(axis=1), table.sum(axis=0), table.data
    rand = 2 * _squares(both) / (_squares(found) + _squares(true))
    entropies = _entropy(true) + _entropy(found)
    if entropies == 0:
        return rand, 1.0
    return rand, 2 * (entropies - _entropy(both)) / entropies


def _squares(shares):
    return float(np.sum(np.square(shares)))


def _entropy(shares):
    shares = np.asarray(shares)
    shares = shares[shares > 0]
    return float(-np.sum(shares * np.log(shares)))
