"""Membranes without gaps: a probability of cells becomes contours that divide a slice into cells at every threshold.

A watershed of the smoothed probability divides the slice into basins. Then neighbours are merged one pair after the
other, first those with the lowest mean probability of a membrane along their border. A border gets the largest mean of
all merges until its own. So at each threshold the borders above it are closed around whole cells: an ultrametric
contour map (Arbelaez, Maire, Fowlkes, Malik: Contour Detection and Hierarchical Image Segmentation, 2011, IEEE TPAMI
33:898). V_rand punishes a gap of a few pixels, through which two cells become one, more than anything else.
"""
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np

SMOOTHED = 1.5      # standard deviation in pixels
DEPTH = 0.1         # a basin is at least so much more likely a cell than the way out of it; on the smoothed probability


@dataclass(eq=False)
class _Border:
    """The border between two regions.

    Attributes:
        total, pairs: sum of the probability of a membrane over the pairs of neighbouring pixels, and their number.
        parts: the borders of basins that it consists of.
    """
    total: float
    pairs: int
    parts: list[int]

    @property
    def mean(self) -> float:
        """The mean probability of a membrane."""
        return self.total / self.pairs


def close_membranes(probability: np.ndarray) -> np.ndarray:
    """Return contours: 1 in basins, and on the borders between them 1 minus their level.

    Args:
        probability (np.ndarray): (H, W) floats from 0 to 1, the probability of a cell.

    Returns:
        np.ndarray: (H, W) float32 from 0 to 1. Borders are one pixel wide and separate 4-connected regions.
    """
    basins = _basins(probability.astype(np.float64))
    closed = np.ones(probability.shape, np.float32)
    pairs = [((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
             ((slice(None), slice(None, -1)), (slice(None), slice(1, None)))]
    # Of each pair of neighbouring pixels in two basins: whether it is one, its two basins, and the less likely cell.
    apart = [basins[one] != basins[other] for one, other in pairs]
    ends = np.concatenate([np.stack([basins[one][where], basins[other][where]])
                           for (one, other), where in zip(pairs, apart)], axis=1)
    membrane = 1 - np.concatenate([np.minimum(probability[one], probability[other])[where]
                                   for (one, other), where in zip(pairs, apart)])
    borders, of_pair = np.unique(np.sort(ends, axis=0), axis=1, return_inverse=True)
    of_pair = of_pair.ravel()
    levels = _levels(borders.T.tolist(), np.bincount(of_pair, membrane), np.bincount(of_pair))
    # The upper or left pixel of a pair is on the border.
    for (one, _), where, own in zip(pairs, apart, np.split(levels[of_pair], [np.count_nonzero(apart[0])])):
        closed[one][where] = np.minimum(closed[one][where], 1 - own)
    return closed


def contours(close: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Return what the option close_membranes does to a probability of cells."""
    return close_membranes if close else lambda probability: probability


def _basins(probability: np.ndarray) -> np.ndarray:
    from scipy import ndimage  # these take a moment to load
    from skimage.morphology import local_maxima, reconstruction
    from skimage.segmentation import watershed

    smooth = ndimage.gaussian_filter(probability, SMOOTHED)
    tops = local_maxima(reconstruction(smooth - DEPTH, smooth))
    return watershed(-smooth, ndimage.label(tops, np.ones((3, 3)))[0])


def _levels(borders: list[list[int]], totals: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Merge the basins and return the level of each border, from 0 to 1.

    Args:
        borders: the two basins of each border.
        totals, pairs: see ``_Border``.
    """
    levels = np.zeros(len(borders))
    neighbours: dict[int, dict[int, _Border]] = {}
    queue: list[tuple[float, int, int, int, _Border]] = []
    number = count()        # borders of equal means are merged in the order in which they were put in

    def put(one: int, other: int, border: _Border) -> None:
        neighbours.setdefault(one, {})[other] = neighbours.setdefault(other, {})[one] = border
        heapq.heappush(queue, (border.mean, next(number), one, other, border))

    for index, (one, other) in enumerate(borders):
        put(one, other, _Border(float(totals[index]), int(pairs[index]), [index]))
    level = 0.0
    while queue:
        mean, _, one, other, border = heapq.heappop(queue)
        if neighbours.get(one, {}).get(other) is not border:
            continue        # a part of another border by now
        level = max(level, mean)
        levels[border.parts] = level
        del neighbours[one][other], neighbours[other][one]
        for third, moved in neighbours.pop(other).items():
            del neighbours[third][other]
            own = neighbours[one].get(third)
            put(one, third, moved if own is None else
                _Border(own.total + moved.total, own.pairs + moved.pairs, own.parts + moved.parts))
    return levels
