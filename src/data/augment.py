"""Random paired transforms. Images are interpolated, class numbers never are. Sizes are (height, width).

Each function takes an image (H, W) or (H, W, C), its classes (H, W) and a ``numpy.random.Generator``, and returns the
new image and classes. An augmentation with its own option is a field of ``Augmentation`` and an entry of ``STEPS``.
"""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from src.data.normalization import AS_PUBLISHED, Normalization
from src.data.photometric import noise_and_blur
from src.data.transforms import LabelResize, resize_image


def flip(image: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Flip upside down and left to right, each with probability one half."""
    for axis in (0, 1):
        if rng.random() < 0.5:
            image, classes = np.flip(image, axis), np.flip(classes, axis)
    return np.ascontiguousarray(image), np.ascontiguousarray(classes)


def crop_and_resize(image: np.ndarray, classes: np.ndarray, rng: np.random.Generator, resize_labels: LabelResize,
                    most: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Cut off up to ``most`` of the image at each of its four sides, and resize the rest to the former size."""
    height, width = size = classes.shape
    top, left = int(rng.random() * most * height), int(rng.random() * most * width)
    bottom, right = int((1 - rng.random() * most) * height), int((1 - rng.random() * most) * width)
    window = slice(top, bottom), slice(left, right)
    return resize_image(image[window], size), resize_labels(classes[window], size)


def brightness(image: np.ndarray, classes: np.ndarray, rng: np.random.Generator,
               normalization: Normalization = AS_PUBLISHED, most: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Add one number to a normalized image, at most ``most`` of the input range up or down, and clip."""
    most *= 1 - normalization.input_min
    return normalization.clip(image + np.float32(rng.uniform(-most, most))), classes


def gray_values(image: np.ndarray, classes: np.ndarray, rng: np.random.Generator,
                normalization: Normalization = AS_PUBLISHED, most: float = 1.25) -> tuple[np.ndarray, np.ndarray]:
    """Change the contrast by a factor from 1 / ``most`` to ``most``, then the brightness."""
    middle = normalization.middle
    return brightness((image - middle) * np.float32(most ** rng.uniform(-1, 1)) + middle, classes, rng, normalization)


def scale_and_crop(image: np.ndarray, classes: np.ndarray, size: Sequence[int], rng: np.random.Generator,
                   resize_labels: LabelResize, most: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Resize each side to 1 to ``most`` times ``size``, and cut out a random window of ``size``."""
    scaled = [int(rng.uniform(side, side * most)) for side in size]
    top, left = (int(rng.integers(0, have - side + 1)) for have, side in zip(scaled, size))
    window = slice(top, top + size[0]), slice(left, left + size[1])
    return resize_image(image, scaled)[window], resize_labels(classes, scaled)[window]


def patch(image: np.ndarray, classes: np.ndarray, size: Sequence[int],
          rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cut out a random window of ``size``."""
    top, left = (int(rng.integers(0, have - side + 1)) for have, side in zip(classes.shape, size))
    window = slice(top, top + size[0]), slice(left, left + size[1])
    return image[window], classes[window]


def quarter_turns(image: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Turn by 0, 90, 180 or 270 degrees, or by 0 or 180 if the image is not square."""
    turns = int(rng.integers(4)) if classes.shape[0] == classes.shape[1] else 2 * int(rng.integers(2))
    return np.rot90(image, turns), np.rot90(classes, turns)


def elastic(image: np.ndarray, classes: np.ndarray, rng: np.random.Generator,
            sigma: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Deform smoothly, as in Ronneberger, Fischer, Brox: U-Net (2015), section 3.1.

    The displacements of 3x3 control points are Gaussian with a standard deviation of ``sigma`` pixels; between the
    points they are cubic. Space outside the image is filled by its mirror image.
    """
    height, width = classes.shape
    shift_y, shift_x = displacements((height, width), rng, sigma)
    map_y = (np.arange(height)[:, None] + shift_y).astype(np.float32)
    map_x = (np.arange(width)[None, :] + shift_x).astype(np.float32)
    warped = cv2.remap(np.ascontiguousarray(image), map_x, map_y, cv2.INTER_LINEAR,
                       borderMode=cv2.BORDER_REFLECT_101)
    return (warped.reshape(image.shape),
            cv2.remap(np.ascontiguousarray(classes), map_x, map_y, cv2.INTER_NEAREST,
                      borderMode=cv2.BORDER_REFLECT_101))


def displacements(size: tuple[int, int], rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Draw the displacements of rows and columns of ``elastic``: (2, height, width) in pixels."""
    across_y, across_x = (_control_weights(side) for side in size)
    return np.stack([across_y @ rng.normal(0, sigma, (3, 3)) @ across_x.T for _ in range(2)])


@lru_cache(maxsize=8)
def _control_weights(length: int) -> np.ndarray:
    """Compute the weights (length, 3) of the control points at start, middle and end, by a natural cubic spline."""
    return CubicSpline([0, 0.5, 1], np.eye(3), bc_type="natural")(np.linspace(0, 1, length))


@dataclass(frozen=True)
class Augmentation:
    """How training samples are augmented: ``on`` by the policy of that name, and each field after it by its step.

    Attributes:
        on: augment by the policy (for ISBI stacks, by the published augmentation).
        policy: name in ``augmentation_policies.POLICIES``.
        crop: cut out random windows of that size in pixels: the side of squares, or (height, width); 0 does not.
        flip, rot90, elastic, gray, noise: apply that step of ``STEPS``.
        scale, rotate: of patches of images in their own sizes, see ``src.data.warp.WarpOptions``.
    """
    on: bool = True
    policy: str = "default"
    crop: int | Sequence[int] = 0
    flip: bool = False
    rot90: bool = False
    elastic: bool = False
    gray: bool = False
    noise: bool = False
    scale: tuple[float, float] | None = None
    rotate: bool = False

    @property
    def crop_size(self) -> tuple[int, int] | None:
        """(height, width) of the windows; None if none are cut out."""
        if not self.crop:
            return None
        height, width = (self.crop, self.crop) if isinstance(self.crop, int) else self.crop
        return height, width


# Attribute of Augmentation -> its step, in the order in which they are applied. A step takes image, classes and random
# numbers, the attribute's value, and how the image was normalized.
Step = Callable[[np.ndarray, np.ndarray, np.random.Generator, Any, Normalization], tuple[np.ndarray, np.ndarray]]
# Those that leave every pixel in its place. Patches of images in their own sizes move pixels by ``src.data.warp``.
IN_PLACE: dict[str, Step] = {
    "gray": lambda image, classes, rng, value, normalization: gray_values(image, classes, rng, normalization),
    "noise": lambda image, classes, rng, value, normalization: (noise_and_blur(image, rng, normalization), classes),
}
STEPS: dict[str, Step] = {
    "elastic": lambda image, classes, rng, value, normalization: elastic(image, classes, rng),
    "crop_size": lambda image, classes, rng, value, normalization: patch(image, classes, value, rng),
    "flip": lambda image, classes, rng, value, normalization: flip(image, classes, rng),
    "rot90": lambda image, classes, rng, value, normalization: quarter_turns(image, classes, rng),
    **IN_PLACE,
}


def apply_steps(augmentation: Augmentation, image: np.ndarray, classes: np.ndarray, rng: np.random.Generator,
                normalization: Normalization = AS_PUBLISHED,
                steps: Mapping[str, Step] = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Apply those of ``steps`` whose attribute of ``augmentation`` is set to a normalized image."""
    for name, step in steps.items():
        value = getattr(augmentation, name)
        if value:
            image, classes = step(image, classes, rng, value, normalization)
    return image, classes
