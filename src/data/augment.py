"""Random paired transforms. Images are interpolated, class numbers never are. Sizes are (height, width).

Each function takes an image (H, W) or (H, W, C), its classes (H, W) and a ``numpy.random.Generator``.
"""
from functools import lru_cache

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from src.data.transforms import resize_classes, resize_image


def flip(image, classes, rng):
    """Flip upside down and left to right, each with probability one half."""
    for axis in (0, 1):
        if rng.random() < 0.5:
            image, classes = np.flip(image, axis), np.flip(classes, axis)
    return np.ascontiguousarray(image), np.ascontiguousarray(classes)


def crop_and_resize(image, classes, rng, most=0.3):
    """Cut up to ``most`` of each side off and resize what is left to the former size."""
    height, width = size = classes.shape
    top, left = int(rng.random() * most * height), int(rng.random() * most * width)
    bottom, right = int((1 - rng.random() * most) * height), int((1 - rng.random() * most) * width)
    window = slice(top, bottom), slice(left, right)
    return resize_image(image[window], size), resize_classes(classes[window], size)


def brightness(image, classes, rng, low=-1, most=0.1):
    """Add one number, up to ``most`` of the range to either side, to an image from ``low`` to 1, and clip."""
    most *= 1 - low
    return np.clip(image + np.float32(rng.uniform(-most, most)), low, 1), classes


def gray_values(image, classes, rng, low=-1, most=1.25):
    """Stretch the gray values about the middle of the range by 1 / ``most`` to ``most``, then change the brightness."""
    middle = (1 + low) / 2
    return brightness((image - middle) * np.float32(most ** rng.uniform(-1, 1)) + middle, classes, rng, low)


def scale_and_crop(image, classes, size, rng, most=1.5):
    """Resize each side to 1 to ``most`` times ``size``, and cut a random window of ``size`` out."""
    scaled = [int(rng.uniform(side, side * most)) for side in size]
    top, left = (int(rng.integers(0, have - side + 1)) for have, side in zip(scaled, size))
    window = slice(top, top + size[0]), slice(left, left + size[1])
    return resize_image(image, scaled)[window], resize_classes(classes, scaled)[window]


def patch(image, classes, side, rng):
    """Cut a random square of ``side`` pixels out."""
    top, left = (int(rng.integers(0, have - side + 1)) for have in classes.shape)
    window = slice(top, top + side), slice(left, left + side)
    return image[window], classes[window]


def quarter_turns(image, classes, rng):
    """Turn by 0, 90, 180 or 270 degrees; an image that is not square by 0 or 180."""
    turns = int(rng.integers(4)) if classes.shape[0] == classes.shape[1] else 2 * int(rng.integers(2))
    return np.rot90(image, turns), np.rot90(classes, turns)


def elastic(image, classes, rng, sigma=10.0):
    """Deform smoothly: displacements at 3x3 control points, Gaussian of ``sigma`` pixels, cubic between them.

    The deformation of Ronneberger, Fischer, Brox: U-Net (2015), section 3.1. What comes from outside the
    image is mirrored.
    """
    height, width = classes.shape
    across_y, across_x = _control_weights(height), _control_weights(width)
    shift_y, shift_x = (across_y @ rng.normal(0, sigma, (3, 3)) @ across_x.T for _ in range(2))
    map_y = (np.arange(height)[:, None] + shift_y).astype(np.float32)
    map_x = (np.arange(width)[None, :] + shift_x).astype(np.float32)
    warped = cv2.remap(np.ascontiguousarray(image), map_x, map_y, cv2.INTER_LINEAR,
                       borderMode=cv2.BORDER_REFLECT_101)
    return (warped.reshape(image.shape),
            cv2.remap(np.ascontiguousarray(classes), map_x, map_y, cv2.INTER_NEAREST,
                      borderMode=cv2.BORDER_REFLECT_101))


@lru_cache(maxsize=8)
def _control_weights(length):
    """(length, 3): weights of the control points at the start, middle and end, by a natural cubic spline."""
    return CubicSpline([0, 0.5, 1], np.eye(3), bc_type="natural")(np.linspace(0, 1, length))
