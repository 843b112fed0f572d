"""Paired transforms of an image and its classes, deterministic ones. Sizes are (height, width)."""
import cv2
import numpy as np

from src.data import border_weights


def to_unit_range(image, low=-1):
    """Map uint8 gray values to float32 from ``low`` to 1: x / 127.5 - 1 for -1, x / 255 for 0."""
    return image.astype(np.float32) / np.float32(255 / (1 - low)) + np.float32(low)


def from_unit_range(image, low=-1):
    """Map float32 from ``low`` to 1 back to the uint8 gray values that ``to_unit_range`` took."""
    return np.rint((image - np.float32(low)) * np.float32(255 / (1 - low))).astype(np.uint8)


def resize_image(image, size):
    """Resize (H, W) or (H, W, C) to ``size`` bilinearly, without smoothing, as ``cv2.resize`` does."""
    resized = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return resized.reshape(*size, *image.shape[2:])


def resize_classes(classes, size):
    """Resize (H, W) uint8 class numbers to ``size``: a pixel of a smaller mask takes the class that covers most of it.

    A side that grows does so by the nearest neighbour. The classes may carry weights (``src.data.border_weights``).
    """
    return _with_weights(_resize_classes, classes, size)


def resize_two_classes(classes, size):
    """Resize (H, W) of classes 0 and 1, with or without weights, to ``size``: bilinearly, then cut at one half.

    This is the published ISBI protocol. It makes no new class, and is finer than the nearest neighbour.
    """
    return _with_weights(_cut_at_one_half, classes, size)


def _with_weights(resize, classes, size):
    classes, weights = border_weights.unpack(classes)
    classes = resize(classes, size)
    if weights is None:
        return classes
    # Weights go by the nearest neighbour; they are the background's alone.
    return border_weights.pack(classes, np.where(classes > 0, 0, _nearest(weights, size)))


def _cut_at_one_half(classes, size):
    return (resize_image(classes.astype(np.float32), size) > 0.5).astype(np.uint8)


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
    most = covered(first) if len(others) > 1 else np.float32(0.5)      # of two classes one is enough
    for number in others:
        share = covered(number)
        result[share > most] = number
        most = np.maximum(share, most)
    return result


def _nearest(array, size):
    if array.shape == tuple(size):
        return array
    # From pixel centre to pixel centre, as images are resized. OpenCV's INTER_NEAREST takes the pixel above and to the
    # left instead: a label would lie up to half a pixel beside its image, in a direction that turns with flips.
    return cv2.resize(array, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)


def pad_to(array, size):
    """Pad (H, W) or (H, W, C) with zeros on all sides to ``size``, the centre kept in the centre."""
    pads = [((target - have) // 2, target - have - (target - have) // 2)
            for have, target in zip(array.shape[:2], size)]
    return np.pad(array, pads + [(0, 0)] * (array.ndim - 2))


def center_crop(array, size):
    """Cut the centre of (H, W) or (H, W, C) to ``size``."""
    top, left = ((have - target) // 2 for have, target in zip(array.shape[:2], size))
    return array[top:top + size[0], left:left + size[1]]


def one_hot(classes, num_classes):
    """(H, W) class numbers -> (num_classes, H, W) float32 of zeros and ones."""
    return (np.arange(num_classes)[:, None, None] == classes).astype(np.float32)


def channels_first(image):
    """(H, W) or (H, W, C) -> contiguous (C, H, W)."""
    return np.ascontiguousarray(np.atleast_3d(image).transpose(2, 0, 1))
