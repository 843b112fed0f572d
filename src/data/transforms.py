"""Deterministic transforms of images and of class numbers. Sizes are (height, width) in pixels."""
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from src.data import border_weights
from src.data.class_values import IGNORED, count_numbers

LabelResize = Callable[[np.ndarray, Sequence[int]], np.ndarray]     # classes (H, W), with or without weights


def to_unit_range(image: np.ndarray, input_min: int = -1) -> np.ndarray:
    """Map uint8 gray values to float32 from ``input_min`` to 1: x / 127.5 - 1 for -1, x / 255 for 0.

    Images of float32 are in that range already (see ``src.data.normalization``), and stay as they are.
    """
    if image.dtype == np.float32:
        return image
    return image.astype(np.float32) / np.float32(255 / (1 - input_min)) + np.float32(input_min)


def resize_image(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Resize (H, W) or (H, W, C) to ``size`` bilinearly, without smoothing, as ``cv2.resize`` does."""
    resized = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return resized.reshape(*size, *image.shape[2:])


def resize_classes(classes: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Resize (H, W) uint8 class numbers to ``size``.

    Where the mask shrinks, a pixel takes the class that covers most of it; where it grows, that of the nearest pixel.
    The classes may carry weights (``src.data.border_weights``).
    """
    return _with_weights(_resize_classes, classes, size)


def resize_two_classes(classes: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Resize (H, W) of classes 0 and 1, with or without weights, to ``size``: bilinearly, then cut at one half.

    This is the published protocol of two classes, for stacks and folders. For more, it would invent classes. Ignored
    pixels have no part in it; a pixel whose nearest one is ignored is ignored.
    """
    return _with_weights(_cut_at_one_half, classes, size)


def label_resize(num_classes: int) -> LabelResize:
    """Return how labels of ``num_classes`` classes are resized: bilinearly for two, by the largest share for more."""
    return resize_two_classes if num_classes == 2 else resize_classes


def _with_weights(resize: LabelResize, classes: np.ndarray, size: Sequence[int]) -> np.ndarray:
    stored, weights = border_weights.split_weights(classes)
    classes = resize(stored, size)
    if weights is None:
        return classes
    # Weights are those of the nearest pixel, if it has the same class.
    kept = np.where(classes == _nearest(stored, size), _nearest(weights, size), 0)
    return border_weights.pack_weights(classes, kept)


def _cut_at_one_half(classes, size):
    ignored = classes == IGNORED
    if not ignored.any():
        return (resize_image(classes.astype(np.float32), size) > 0.5).astype(np.uint8)
    share = resize_image((classes == 1).astype(np.float32), size)
    known = resize_image((~ignored).astype(np.float32), size)
    return np.where(_nearest(ignored.astype(np.uint8), size), IGNORED, share > 0.5 * known).astype(np.uint8)


def _resize_classes(classes, size):
    smaller = tuple(min(sides) for sides in zip(size, classes.shape))
    return _nearest(_shrink(classes, smaller), size)


def _shrink(classes, size):
    if classes.shape == size:
        return classes
    first, *others = np.flatnonzero(cv2.calcHist([classes], [0], None, [256], [0, 256]))

    def covered(number):
        return cv2.resize((classes == number).astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_AREA)
    result = np.full(size, first, classes.dtype)
    # With two classes it is enough to look at one of them.
    most = covered(first) if len(others) > 1 else np.float32(0.5)
    for number in others:
        share = covered(number)
        result[share > most] = number
        most = np.maximum(share, most)
    return result


def _nearest(array, size):
    if array.shape == tuple(size):
        return array
    # INTER_NEAREST_EXACT compares pixel centres, as the resizing of images does. INTER_NEAREST takes the pixel above
    # and to the left: labels would be shifted against their images by up to half a pixel.
    return cv2.resize(array, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)


def pad_to(array: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Pad (H, W) or (H, W, C) with zeros on all sides to ``size``; the centre stays in the centre."""
    pads = [((target - have) // 2, target - have - (target - have) // 2)
            for have, target in zip(array.shape[:2], size)]
    return np.pad(array, pads + [(0, 0)] * (array.ndim - 2))


def center_crop(array: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Cut a window of ``size`` out of the centre of (H, W) or (H, W, C)."""
    top, left = ((have - target) // 2 for have, target in zip(array.shape[:2], size))
    return array[top:top + size[0], left:left + size[1]]


def one_hot(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Turn (H, W) class numbers into (num_classes, H, W) float32 of zeros and ones; ignored pixels are all zeros."""
    return (np.arange(num_classes)[:, None, None] == classes).astype(np.float32)


def count_classes(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the pixels of each class: (H, W) uint8 -> (num_classes,) int64, without ignored pixels."""
    return count_numbers(classes, num_classes)


def channels_first(image: np.ndarray) -> np.ndarray:
    """Turn (H, W) or (H, W, C) into contiguous (C, H, W)."""
    return np.ascontiguousarray(np.atleast_3d(image).transpose(2, 0, 1))
