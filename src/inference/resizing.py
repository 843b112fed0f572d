"""Bilinear resizing piece by piece: images as far as they are read, results row by row. Without MindSpore."""
from typing import Any

import numpy as np

ROWS = 64       # that are computed at once


class ResizedImage:
    """An image in another size. Only the pixels that are read are computed.

    ``resized[rows, columns]``, with two index arrays that broadcast against each other, equals the same index of
    ``cv2.resize(image, ...)`` with bilinear interpolation, as in training: (..., C). Of uint8, about one pixel of a
    hundred differs by one gray level.

    Behind a few rows of a much smaller size are very many of the image. So these are computed a few at a time, over the
    whole width, and kept until others are asked for.

    Args:
        image: (H, W, C) uint8 or float32; an array, or what can be indexed like it.
        size: (height, width).
    """

    def __init__(self, image: Any, size: tuple[int, int]):
        self.image, self.shape = image, (*size, image.shape[2])
        self.rows, self.columns = (_neighbours(own, target) for own, target in zip(image.shape, size))
        self.is_much_smaller = 2 * size[0] <= image.shape[0] and 2 * size[1] <= image.shape[1]
        self._first, self._kept = 0, np.empty((0, *self.shape[1:]), image.dtype)

    def __getitem__(self, index: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        if not self.is_much_smaller:
            return self._computed(*index)
        rows, columns = index
        first = int(rows.min())
        return self._whole_rows(first, int(rows.max()) + 1)[rows - first, columns]

    def _whole_rows(self, first: int, end: int) -> np.ndarray:
        """Return the rows from ``first`` up to ``end``; of those that were asked for last, none is computed again."""
        known = self._first + len(self._kept)
        kept = self._kept[first - self._first:] if self._first <= first < known else self._kept[:0]
        starts = range(first + len(kept), end, ROWS)
        new = [self._computed(np.arange(start, min(end, start + ROWS))[:, None], np.arange(self.shape[1]))
               for start in starts]
        self._first, self._kept = first, np.concatenate([kept, *new])
        return self._kept[:end - first]

    def _computed(self, *index: np.ndarray) -> np.ndarray:
        (top, bottom, down), (left, right, across) = (
            [values[numbers] for values in neighbours]
            for neighbours, numbers in zip((self.rows, self.columns), index))
        if self.image.dtype != np.uint8:
            upper, lower = (_between(self.image[number, left], self.image[number, right], across[..., None])
                            for number in (top, bottom))
            return _between(upper, lower, down[..., None])
        across, rest = _fixed_point(across[..., None])

        def row(number):
            return self.image[number, left] * rest + self.image[number, right] * across >> 4
        down, up = _fixed_point(down[..., None])
        return ((row(top) * up >> 16) + (row(bottom) * down >> 16) + 2 >> 2).astype(np.uint8)


def _between(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return first * (1 - weight) + second * weight


def _fixed_point(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and 1 - weight in units of 1/2048, as OpenCV rounds them."""
    return np.rint(weight * 2048).astype(np.int32), np.rint((1 - weight) * 2048).astype(np.int32)


class RowResizer:
    """Resizes an array that arrives row by row, bilinearly, with the pixel centres of ``cv2.resize``.

    Args:
        size: (height, width) of the input.
        target: (height, width) of the output.
    """

    def __init__(self, size: tuple[int, int], target: tuple[int, int]):
        self.columns = _neighbours(size[1], target[1])
        self.rows = _neighbours(size[0], target[0])
        self.buffer: np.ndarray | None = None
        self.first = 0      # input row that the buffer starts with
        self.done = 0       # output rows that were returned

    def feed(self, rows: np.ndarray) -> np.ndarray:
        """Take the next input rows, (n, w, classes) float32; return the output rows that are ready, (m, W, classes)."""
        low, high, weight = self.columns
        wide = rows[:, low] * (1 - weight[:, None]) + rows[:, high] * weight[:, None]
        buffer = wide if self.buffer is None else np.concatenate([self.buffer, wide])
        low, high, weight = self.rows
        ready = int(np.searchsorted(high, self.first + len(buffer)))
        span = slice(self.done, ready)
        share = weight[span, None, None]
        made = buffer[low[span] - self.first] * (1 - share) + buffer[high[span] - self.first] * share
        self.done = ready
        keep = min([*low[ready:ready + 1], self.first + len(buffer)])     # no later output row needs the rows above
        self.buffer, self.first = buffer[keep - self.first:], keep
        return made


def _neighbours(length: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the two of ``length`` pixels around each of ``target`` pixels, and the weight of the second one."""
    position = np.clip((np.arange(target) + 0.5) * (length / target) - 0.5, 0, length - 1)
    low = np.floor(position).astype(int)
    return low, np.minimum(low + 1, length - 1), (position - low).astype(np.float32)
