"""Prediction of images of any size in windows: the overlap-tile strategy of the U-Net paper. Without MindSpore.

Ronneberger et al. 2015, arXiv:1505.04597, figure 2. Only the core of each window's result is used. Around the core the
network sees a margin: the pixels that valid convolutions take away, or those that same convolutions would otherwise
replace by zeros. Beyond its borders the image is mirrored. Cores start at multiples of the receptive field's stride. So
a pixel's result does not depend on how the image is cut, as long as the margin holds the network's whole context.
"""
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.networks.receptive_field import ReceptiveField

Size = tuple[int, int]      # (height, width) in pixels

MOST_ROWS = 2**20           # more than any image has


@dataclass(frozen=True)
class Window:
    """The sizes (height, width) of the windows of an image, in pixels.

    Attributes:
        input: what the network takes.
        core: the part of the result that is used.
        margin: pixels between the borders of input and core, at the top and at the left.
        overlap: pixels by which neighbouring cores overlap; there they are blended.
    """
    input: Size
    core: Size
    margin: int
    overlap: int


def choose_window(field: ReceptiveField, size: Size, largest: int, fixed_size: Size | None = None,
                  most_rows: int = 0) -> Window:
    """Choose the windows for an image.

    Args:
        field: the network's receptive field.
        size: of the image.
        largest: side of the largest window.
        fixed_size: of the network's input, if the network takes only one size.
        most_rows: rows of a core, of which memory holds a band as wide as the image; 0 is any number. Cores have at
            least twice the rows that overlap.
    """
    most_rows = max(2 * field.stride, most_rows // field.stride * field.stride) if most_rows else MOST_ROWS
    if field.margin_lost:
        sides = fixed_size or (largest, largest)
        core_height, core_width = (_valid_core(side - 2 * field.margin_lost, field.stride) for side in sides)
        return Window((sides[0], sides[1]), (min(core_height, most_rows), core_width), field.margin_lost, 0)
    # No window is larger than asked for, except the smallest one that the network can take.
    largest = max(field.stride, largest // field.stride * field.stride)
    # In a window that is too small for the whole context, half of the window is margin, and the seams are blended.
    smallest = min(fixed_size or (largest,))
    margin, overlap = field.context, 0
    if not holds_context(field, smallest):
        margin = smallest // 4 // field.stride * field.stride
        overlap = field.stride if smallest >= 2 * margin + 2 * field.stride else 0
    if fixed_size:
        core_height, core_width = (side - 2 * margin for side in fixed_size)
        return Window(fixed_size, (min(core_height, most_rows), core_width), margin, overlap)
    wide = largest - 2 * margin
    core_height, core_width = (_core_side(length, most, overlap, field.stride)
                               for length, most in zip(size, (min(wide, most_rows), wide)))
    return Window((core_height + 2 * margin, core_width + 2 * margin), (core_height, core_width), margin, overlap)


def holds_context(field: ReceptiveField, side: int) -> bool:
    """Return whether windows of same convolutions, of this smallest side, have all that their cores depend on."""
    return side >= 3 * field.context


def _valid_core(side: int, stride: int) -> int:
    """Return the largest multiple of the stride; the whole side if it is shorter than the stride."""
    return side // stride * stride or side


def _core_side(length: int, largest: int, overlap: int, step: int) -> int:
    """Return the smallest core that covers ``length`` with as few windows as the largest core does."""
    if length <= largest:
        return min(max(_round_up(length, step), 2 * overlap), largest)
    count = -(-(length - overlap) // (largest - overlap))
    return min(_round_up(-(-(length - overlap) // count) + overlap, step), largest)


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step


def predict_rows(image: Any, window: Window, predict: Callable[[np.ndarray], np.ndarray], most_pixels: int = 1,
                 on_windows: Callable[[int], object] = lambda count: None) -> Iterator[np.ndarray]:
    """Predict an image band by band. Memory holds one band of windows. While ``predict`` runs, the next are read.

    Args:
        image: (H, W, C) uint8 or float32; an array, or what can be indexed like it by two index arrays.
        window: how to cut the image.
        predict: windows (n, h, w, C) of the image -> their results (n, h', w', classes) float32, of the whole windows
            or of their centres, cores included.
        most_pixels: of the windows that ``predict`` gets at once; it gets at least one.
        on_windows: called with the number of windows after each call of ``predict``.

    Yields:
        np.ndarray: the next rows of the result, (rows, W, classes) float32; together they are H rows.
    """
    height, width = image.shape[:2]
    tops, lefts = (_starts(length, core, window.overlap) for length, core in zip((height, width), window.core))
    batches = _batches(lefts, max(1, most_pixels // (window.input[0] * window.input[1])))
    ramp = _ramp(window.overlap)[:, None, None]
    tail = None
    with closing(_read_ahead(image, [(top, lefts) for top in tops for lefts in batches], window)) as read:
        for top in tops:
            band = _band(read, width, batches, window, predict, on_windows)     # (core height, W, classes)
            if tail is not None and window.overlap:
                band[:window.overlap] = tail * (1 - ramp) + band[:window.overlap] * ramp
            step = window.core[0] - window.overlap
            tail = band[step:].copy()
            yield band[:height - top] if top == tops[-1] else band[:step]


def _batches(lefts: list[int], most: int) -> list[list[int]]:
    """Divide the windows of a band into as few batches as possible, all of about one size."""
    count = -(-len(lefts) // most)
    size = -(-len(lefts) // count)
    return [lefts[first:first + size] for first in range(0, len(lefts), size)]


def count_windows(size: Size, window: Window) -> int:
    """Return how many windows an image of ``size`` takes."""
    return len(_starts(size[0], window.core[0], window.overlap)) * len(_starts(size[1], window.core[1], window.overlap))


def _starts(length: int, core: int, overlap: int) -> list[int]:
    """Return where the cores start. The last one covers the end of ``length`` and may reach beyond it."""
    return list(range(0, max(1, length - overlap), core - overlap))


def _ramp(overlap: int) -> np.ndarray:
    """Return the rising weights of the later of two windows over their overlap."""
    return ((np.arange(overlap) + 0.5) / max(1, overlap)).astype(np.float32)


def _read_ahead(image: Any, batches: list[tuple[int, list[int]]],
                window: Window) -> Generator[np.ndarray, None, None]:
    """Yield the pixels of windows side by side, (n, h, w, C). Another thread reads those of the next batch."""
    most = len(batches[0][1])

    def read(top: int, lefts: list[int]) -> np.ndarray:
        pixels = [_mirrored(image, top - window.margin, left - window.margin, window.input) for left in lefts]
        # The last batch is filled up, since MindSpore would compile a graph for a smaller one.
        return np.stack(pixels + [np.zeros_like(pixels[0])] * (most - len(lefts)))
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(read, *batches[0])
        for batch in batches[1:]:
            pixels, following = following.result(), reader.submit(read, *batch)
            yield pixels
        yield following.result()


def _band(read, width, batches, window, predict, on_windows):
    ramp = _ramp(window.overlap)[:, None]
    band = None
    for lefts in batches:
        for left, result in zip(lefts, _cores(predict(next(read)), window)):
            if band is None:
                band = np.empty((window.core[0], width, result.shape[2]), np.float32)
            part = band[:, left:left + window.core[1]]     # narrower than the core at the right border
            new = result[:, :part.shape[1]]
            if left and window.overlap:
                seam = part[:, :window.overlap] * (1 - ramp) + new[:, :window.overlap] * ramp
                part[:, :window.overlap], part[:, window.overlap:] = seam, new[:, window.overlap:]
            else:
                part[:] = new
        on_windows(len(lefts))
    return band


def _cores(results: np.ndarray, window: Window) -> np.ndarray:
    """Return the cores of windows, (n, core height, core width, classes), whose results lack nothing or some margin."""
    first = window.margin - (window.input[0] - results.shape[1]) // 2
    return results[:, first:first + window.core[0], first:first + window.core[1]]


def _mirrored(image, top, left, size):
    """Return (h, w, C) pixels from ``top`` and ``left`` on; beyond its borders the image repeats mirrored."""
    rows = _reflect(np.arange(top, top + size[0]), image.shape[0])
    columns = _reflect(np.arange(left, left + size[1]), image.shape[1])
    return image[rows[:, None], columns]


def _reflect(index: np.ndarray, length: int) -> np.ndarray:
    """Mirror indices into 0 to ``length`` - 1; the border pixels are not repeated."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    index = index % period
    return np.minimum(index, period - index)
