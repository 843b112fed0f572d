"""Objects of a page whose probabilities arrive from top to bottom: memory holds a band of rows.

Objects are found in bands that overlap by ``OVERLAP`` rows. The middle of the overlap is the seam: above it the numbers
of the upper band stay, below it those of the lower one. Two objects that touch at the seam are one (union-find)

* if they are split as components: then the result is exactly that of the whole page, but for holes;
* if a watershed has split them, only if the pixels that both have in the overlap are more than half of those that one
  of them has there. Near a seam, an object that is higher than half of the overlap may be split differently than in the
  whole page; so may the filling of a hole.
"""
import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import IO, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from src.evaluation.object_metrics import overlaps
from src.evaluation.objects import COMPONENTS, ObjectOptions, Objects, areas_and_sums, separate, without_rim
from src.model_utils.files import writing

OVERLAP = 256               # rows
BAND_PIXELS = 2**23
FEWEST_ROWS = 3 * OVERLAP   # of a band, since the overlaps are computed twice


class PageObjects(NamedTuple):
    """The objects of a page, numbered from 1 on.

    Attributes:
        size: (H, W) of the page.
        file: has the provisional number of each pixel, from ``start`` on.
        numbers: provisional number -> number of the object; 0 for what is none.
        classes, areas, probabilities: of each object, from number 1 on: class, pixels, mean probability of its class.
    """
    size: tuple[int, int]
    file: IO[bytes]
    start: int
    numbers: np.ndarray
    classes: np.ndarray
    areas: np.ndarray
    probabilities: np.ndarray

    def labels(self, top: int, bottom: int) -> np.ndarray:
        """Return rows of the label image, (rows, W) uint32."""
        width = self.size[1]
        self.file.seek(self.start + 4 * top * width)
        stored = self.file.read(4 * (bottom - top) * width)
        return self.numbers[np.frombuffer(stored, np.uint32).reshape(-1, width)]


class ObjectBands:
    """Finds the objects of a page while its probabilities pass by. Provisional numbers wait in a file.

    Args:
        size: (H, W) of the page.
        options: how objects are found; ``min_size`` in pixels.
        has_rim: the probabilities are those of background, interior and rim.
        file: an open binary file, which the provisional numbers are appended to.
        band_rows: rows of a band; 0 takes ``BAND_PIXELS``.
    """

    def __init__(self, size: tuple[int, int], options: ObjectOptions, has_rim: bool, file: IO[bytes],
                 band_rows: int = 0):
        self.size, self.options, self.has_rim, self.file = size, options, has_rim, file
        self.band_rows = band_rows or max(FEWEST_ROWS, BAND_PIXELS // size[1])
        self.start = file.seek(0, os.SEEK_END)
        self.top = self.done = 0                # first row of the next band, and rows that the file has
        self.waiting: list[np.ndarray] = []     # probabilities from the row ``top`` on
        self.upper: Objects | None = None       # the overlap rows of the band above
        self.known = 0                          # provisional numbers so far
        self.unions: list[np.ndarray] = []      # (n, 2) provisional numbers that are one object
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []    # classes, areas, sums of probabilities

    def watch(self, rows: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Take in the (rows, W, classes) float32 probabilities of the page; yield them, with the rim as foreground."""
        for part in rows:
            self.waiting.append(part)
            while (held := sum(map(len, self.waiting))) >= self.band_rows < self.size[0] - self.top:
                self._band(self.band_rows)
            # Before the last rows are passed on, as whoever takes them need not ask for more.
            if held and self.top + held == self.size[0]:
                self._band(held)
            yield without_rim(part) if self.has_rim else part

    def _band(self, rows: int) -> None:
        """Find the objects of the next band."""
        probabilities = np.concatenate(self.waiting)
        last = self.top + rows == self.size[0]
        step = rows if last else rows - OVERLAP
        band = probabilities[:rows]
        self.waiting = [probabilities[step:].copy()]
        interior = band[..., 1] if self.has_rim else None
        semantic = without_rim(band) if self.has_rim else band
        labels, classes = separate(semantic, self.options, interior)
        labels = np.where(labels > 0, labels + np.int32(self.known), 0)
        classes = np.concatenate([np.zeros(self.known, int), classes])
        if self.upper is not None:
            self._unite(self.upper, Objects(labels[:OVERLAP], classes))
        kept = slice(self.done - self.top, rows if last else rows - OVERLAP // 2)
        self._take(labels[kept], classes, semantic[kept])
        self.upper = None if last else Objects(labels[-OVERLAP:].copy(), classes)
        self.top += step

    def _take(self, labels: np.ndarray, classes: np.ndarray, probabilities: np.ndarray) -> None:
        """Write rows, and add up what is known of their objects."""
        of_band = Objects(np.where(labels > 0, labels - self.known, 0), classes[self.known:])
        areas, sums = areas_and_sums(of_band, probabilities)
        self.parts.append((of_band.classes[1:], areas[1:], sums[1:]))
        with writing("the numbers of the objects"):
            self.file.write(labels.astype(np.uint32).data)     # tofile would not notice that the disk is full
            self.file.flush()
        self.done += len(labels)
        self.known = len(classes) - 1

    def _unite(self, upper: Objects, lower: Objects) -> None:
        """Find the objects that are one on both sides of the seam."""
        seam = OVERLAP // 2
        touching = np.stack([upper.labels[seam - 1], lower.labels[seam]], axis=1)
        touching = np.unique(touching[(touching > 0).all(axis=1)], axis=0)
        touching = touching[upper.classes[touching[:, 0]] == lower.classes[touching[:, 1]]]
        if self.options.split != COMPONENTS:
            found = overlaps(upper.labels, lower.labels)
            areas = found.true_areas[found.pairs[:, 0]], found.predicted_areas[found.pairs[:, 1]]
            same = 2 * found.common > np.minimum(*areas)
            pairs = set(zip(found.true[found.pairs[same, 0]].tolist(), found.predicted[found.pairs[same, 1]].tolist()))
            touching = np.array([pair for pair in touching.tolist() if tuple(pair) in pairs], int).reshape(-1, 2)
        self.unions.append(touching)

    @cached_property
    def objects(self) -> PageObjects:
        """The objects, after all rows have passed."""
        classes, areas, sums = (np.concatenate(columns) for columns in zip(*self.parts))
        first, second = np.concatenate([np.empty((0, 2), int), *self.unions]).T - 1
        _, group = connected_components(coo_array((np.ones(len(first)), (first, second)), (self.known, self.known)),
                                        directed=False)
        areas, sums = np.bincount(group, areas), np.bincount(group, sums)
        kept = self.options.stay(areas, sums)
        numbers = np.where(kept, np.cumsum(kept), 0)[group]
        class_of = np.zeros(len(areas), int)
        class_of[group] = classes
        return PageObjects(self.size, self.file, self.start, np.concatenate([[0], numbers]).astype(np.uint32),
                           class_of[kept], areas[kept].astype(np.int64), sums[kept] / areas[kept])
