"""Prediction of images of any size in windows: the overlap-tile strategy of the U-Net paper. Without MindSpore.

Ronneberger et al. 2015, arXiv:1505.04597, figure 2. Only the core of each window's result is used. Around the core the
network sees a margin: the pixels that valid convolutions take away, or those that same convolutions would otherwise
replace by zeros. Beyond its borders the image is mirrored. Cores start at multiples of the receptive field's stride. So
a pixel's result does not depend on how the image is cut, as long as the margin holds the network's whole context.
"""
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from src.inference.resizing import ResizedImage
from src.networks.receptive_field import ReceptiveField

Size = tuple[int, int]      # (height, width) in pixels


@dataclass(frozen=True)
class Window:
    """The sizes (height, width) of the windows of an image, in pixels.

    Attributes:
        input: what the network takes.
        core: the part of the result that is used.
        margin: pixels between the borders of input and core, at the top and at the left.
        offset: first row, and first column, of the core in the result.
        overlap: pixels by which neighbouring cores overlap; there they are blended.
    """
    input: Size
    core: Size
    margin: int
    offset: int
    overlap: int


def choose_window(field: ReceptiveField, size: Size, largest: int, fixed_size: Size | None = None) -> Window:
    """Choose the windows for an image.

    Args:
        field: the network's receptive field.
        size: of the image.
        largest: side of the largest window.
        fixed_size: of the network's input, if the network takes only one size.
    """
    if field.margin_lost:
        sides = fixed_size or (largest, largest)
        core_height, core_width = (_valid_core(side - 2 * field.margin_lost, field.stride) for side in sides)
        return Window((sides[0], sides[1]), (core_height, core_width), field.margin_lost, 0, 0)
    # No window is larger than asked for, except the smallest one that the network can take.
    largest = max(field.stride, largest // field.stride * field.stride)
    # In a window that is too small for the whole context, half of the window is margin, and the seams are blended.
    smallest = min(fixed_size or (largest,))
    margin = field.context if smallest >= 3 * field.context else smallest // 4 // field.stride * field.stride
    overlap = field.stride if smallest >= 2 * margin + 2 * field.stride else 0
    if fixed_size:
        core_height, core_width = (side - 2 * margin for side in fixed_size)
    else:
        core_height, core_width = (_core_side(length, largest - 2 * margin, overlap, field.stride) for length in size)
    return Window((core_height + 2 * margin, core_width + 2 * margin), (core_height, core_width), margin, margin,
                  overlap)


def _valid_core(side: int, stride: int) -> int:
    """Return the largest multiple of the stride; the whole side if it is shorter than the stride."""
    return side // stride * stride or side


def _core_side(length: int, largest: int, overlap: int, stride: int) -> int:
    """Return the smallest core that covers ``length`` with as few windows as the largest core does."""
    if length <= largest:
        return max(_round_up(length, stride), 2 * overlap)
    count = -(-(length - overlap) // (largest - overlap))
    return _round_up(-(-(length - overlap) // count) + overlap, stride)


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step


def predict_rows(image: np.ndarray | ResizedImage, window: Window, predict: Callable[[np.ndarray], np.ndarray],
                 on_window: Callable[[], object] = lambda: None) -> Iterator[np.ndarray]:
    """Predict an image band by band. Memory holds one band of windows.

    Args:
        image: (H, W, C) uint8.
        window: how to cut the image.
        predict: a window (h, w, C) uint8 -> its result (h', w', classes) float32.
        on_window: called after each window.

    Yields:
        np.ndarray: the next rows of the result, (rows, W, classes) float32; together they are H rows.
    """
    height, width = image.shape[:2]
    tops, lefts = (_starts(length, core, window.overlap) for length, core in zip((height, width), window.core))
    ramp = _ramp(window.overlap)[:, None, None]
    tail = None
    for top in tops:
        band = _band(image, top, lefts, window, predict, on_window)       # (core height, W, classes)
        if tail is not None and window.overlap:
            band[:window.overlap] = tail * (1 - ramp) + band[:window.overlap] * ramp
        step = window.core[0] - window.overlap
        tail = band[step:].copy()
        yield band[:height - top] if top == tops[-1] else band[:step]


def count_windows(size: Size, window: Window) -> int:
    """Return how many windows an image of ``size`` takes."""
    return len(_starts(size[0], window.core[0], window.overlap)) * len(_starts(size[1], window.core[1], window.overlap))


def _starts(length: int, core: int, overlap: int) -> list[int]:
    """Return where the cores start. The last one covers the end of ``length`` and may reach beyond it."""
    return list(range(0, max(1, length - overlap), core - overlap))


def _ramp(overlap: int) -> np.ndarray:
    """Return the rising weights of the later of two windows over their overlap."""
    return ((np.arange(overlap) + 0.5) / max(1, overlap)).astype(np.float32)


def _band(image, top, lefts, window, predict, on_window):
    width, ramp = image.shape[1], _ramp(window.overlap)[:, None]
    band = None
    for left in lefts:
        pixels = _mirrored(image, top - window.margin, left - window.margin, window.input)
        first, (rows, columns) = window.offset, window.core
        result = predict(pixels)[first:first + rows, first:first + columns]        # (core height, core width, classes)
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
