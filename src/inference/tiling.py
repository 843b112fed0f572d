"""Prediction of pictures of any size in windows, after the overlap-tile strategy of the U-Net paper.

Ronneberger et al. 2015, arXiv:1505.04597, figure 2. Around each window the network sees ``margin`` pixels more
than are used of its result: what valid convolutions take away, or what same convolutions would otherwise fill
with zeros. Beyond the picture's border it sees the picture mirrored. Windows lie on the grid of the network's
poolings, so a pixel's result does not depend on how the picture is cut into windows.
"""
from dataclasses import dataclass
from functools import partial

import numpy as np


@dataclass(frozen=True)
class Window:
    """One window: sides as (height, width) in pixels.

    Attributes:
        input: what the network takes.
        core: what is used of its result, from ``offset`` on.
        margin: pixels between the borders of input and core, at the top and at the left.
        offset: first row and column of the result that is used.
        overlap: pixels by which neighbouring cores overlap and are blended.
    """
    input: tuple
    core: tuple
    margin: int
    offset: int
    overlap: int


def choose_window(field, size, largest, fixed=None):
    """The window for a picture of ``size``.

    Args:
        field (ReceptiveField): of the network.
        size (tuple): height and width of the picture.
        largest (int): side of the largest window.
        fixed (tuple): height and width that the network takes, where it takes no other.
    """
    if field.margin_lost:
        sides = fixed or (largest, largest)
        kept = [side - 2 * field.margin_lost for side in sides]
        core = tuple(side // field.stride * field.stride or side for side in kept)
        return Window(tuple(sides), core, field.margin_lost, 0, 0)
    # No window is larger than asked for, but for the smallest that the network can take.
    largest = max(field.stride, largest // field.stride * field.stride)
    # Where a window is too small for the whole context, half of it is context, and blending does the rest.
    smallest = min(fixed or (largest,))
    margin = field.context if smallest >= 3 * field.context else smallest // 4 // field.stride * field.stride
    overlap = field.stride if smallest >= 2 * margin + 2 * field.stride else 0
    core = tuple(side - 2 * margin for side in fixed) if fixed else tuple(
        _core_side(length, largest - 2 * margin, overlap, field.stride) for length in size)
    return Window(tuple(side + 2 * margin for side in core), core, margin, margin, overlap)


def _core_side(length, largest, overlap, stride):
    """Smallest core that covers ``length`` with as few windows as the largest core does."""
    if length <= largest:
        return max(_round_up(length, stride), 2 * overlap)
    count = -(-(length - overlap) // (largest - overlap))
    return _round_up(-(-(length - overlap) // count) + overlap, stride)


def _round_up(number, step):
    return -(-number // step) * step


def predict_rows(picture, window, run, on_window=lambda: None):
    """Predict a picture band by band, in the memory of one band of windows.

    Args:
        picture (np.ndarray or Resized): (H, W, C) uint8.
        window (Window): how to cut it.
        run (callable): a window, (h, w, C) uint8 -> its result, (h', w', classes) float32.
        on_window (callable): called after each window.

    Yields:
        np.ndarray: the next rows of the result, (rows, W, classes) float32; all rows together are H.
    """
    height, width = picture.shape[:2]
    tops, lefts = (_starts(length, core, window.overlap) for length, core in zip((height, width), window.core))
    ramp = _ramp(window.overlap)[:, None, None]
    tail = None
    for top in tops:
        band = _band(picture, top, lefts, window, run, on_window)       # (core height, W, classes)
        if tail is not None and window.overlap:
            band[:window.overlap] = tail * (1 - ramp) + band[:window.overlap] * ramp
        stride = window.core[0] - window.overlap
        tail = band[stride:].copy()
        yield band[:height - top] if top == tops[-1] else band[:stride]


def count_windows(size, window):
    """How many windows a picture of ``size`` takes."""
    return len(_starts(size[0], window.core[0], window.overlap)) * len(_starts(size[1], window.core[1], window.overlap))


def _starts(length, core, overlap):
    """Where the cores start; the last one covers the end of ``length``, and may reach beyond."""
    return list(range(0, max(1, length - overlap), core - overlap))


def _ramp(overlap):
    """Weights of the later of two windows over their overlap, rising."""
    return ((np.arange(overlap) + 0.5) / max(1, overlap)).astype(np.float32)


def _band(picture, top, lefts, window, run, on_window):
    width, ramp = picture.shape[1], _ramp(window.overlap)[:, None]
    band = None
    for left in lefts:
        pixels = _mirrored(picture, top - window.margin, left - window.margin, window.input)
        first, (rows, columns) = window.offset, window.core
        result = run(pixels)[first:first + rows, first:first + columns]        # (core height, core width, classes)
        on_window()
        if band is None:
            band = np.empty((rows, width, result.shape[2]), np.float32)
        part = band[:, left:left + columns]     # narrower than the core at the right border
        result = result[:, :part.shape[1]]
        if left and window.overlap:
            seam = part[:, :window.overlap] * (1 - ramp) + result[:, :window.overlap] * ramp
            part[:, :window.overlap], part[:, window.overlap:] = seam, result[:, window.overlap:]
        else:
            part[:] = result
    return band


def _mirrored(picture, top, left, size):
    """(h, w, C) of the picture continued without end by reflection."""
    rows = _reflect(np.arange(top, top + size[0]), picture.shape[0])
    columns = _reflect(np.arange(left, left + size[1]), picture.shape[1])
    return picture[rows[:, None], columns]


def _reflect(index, length):
    """Indices mirrored into 0 to ``length`` - 1; the border pixels are not repeated."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    index = index % period
    return np.minimum(index, period - index)


class Resized:
    """A picture in another size, bilinearly, of which no more is made than is asked for.

    ``resized[rows, columns]``, two arrays of numbers that broadcast against each other, is what ``cv2.resize`` and
    then that index give, (..., C) uint8, as training resizes. The rounding is OpenCV's too, but for one gray level
    in one of a hundred pixels.

    Args:
        picture (np.ndarray): (H, W, C) uint8.
        size (tuple): (height, width).
    """

    def __init__(self, picture, size):
        self.picture, self.shape = picture, (*size, picture.shape[2])
        self.rows, self.columns = (_taps(own, target) for own, target in zip(picture.shape, size))

    def __getitem__(self, index):
        (top, bottom, down), (left, right, across) = (
            [tap[numbers] for tap in taps] for taps, numbers in zip((self.rows, self.columns), index))
        across, rest = _whole(across[..., None])

        def row(number):
            return self.picture[number, left] * rest + self.picture[number, right] * across >> 4
        down, up = _whole(down[..., None])
        return ((row(top) * up >> 16) + (row(bottom) * down >> 16) + 2 >> 2).astype(np.uint8)


def _whole(weight):
    """A weight and what it leaves of one, in OpenCV's 2048ths."""
    return np.rint(weight * 2048).astype(np.int32), np.rint((1 - weight) * 2048).astype(np.int32)


class RowResizer:
    """Resizes a picture that comes row by row, bilinearly, pixel centres on pixel centres.

    Args:
        size (tuple): (height, width) of what comes.
        target (tuple): (height, width) of what goes.
    """

    def __init__(self, size, target):
        self.columns = _taps(size[1], target[1])
        self.rows = _taps(size[0], target[0])
        self.buffer = None
        self.first = 0      # row of the source that the buffer starts with
        self.done = 0       # rows that have gone

    def feed(self, rows):
        """Take the next rows, (n, w, classes) float32, and return those that can be made, (m, W, classes)."""
        low, high, weight = self.columns
        wide = rows[:, low] * (1 - weight[:, None]) + rows[:, high] * weight[:, None]
        self.buffer = wide if self.buffer is None else np.concatenate([self.buffer, wide])
        low, high, weight = self.rows
        ready = int(np.searchsorted(high, self.first + len(self.buffer)))
        span = slice(self.done, ready)
        part = weight[span, None, None]
        made = self.buffer[low[span] - self.first] * (1 - part) + self.buffer[high[span] - self.first] * part
        self.done = ready
        keep = min([*low[ready:ready + 1], self.first + len(self.buffer)])     # rows above it have done their part
        self.buffer, self.first = self.buffer[keep - self.first:], keep
        return made


def _taps(length, target):
    """For each of ``target`` positions: the two of ``length`` it lies between, and the weight of the second."""
    position = np.clip((np.arange(target) + 0.5) * (length / target) - 0.5, 0, length - 1)
    low = np.floor(position).astype(int)
    return low, np.minimum(low + 1, length - 1), (position - low).astype(np.float32)


def mean_of(runs):
    """One function from several: the mean of their results."""
    return runs[0] if len(runs) == 1 else partial(_mean, runs)


def _mean(runs, image):
    total = runs[0](image).copy()
    for run in runs[1:]:
        total += run(image)
    return total / np.float32(len(runs))
