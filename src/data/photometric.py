"""Random changes of the numbers of an image that leave every pixel in its place.

Each function takes a normalized image (H, W, C) float32 and a ``numpy.random.Generator``, and returns a new image.
"""
import cv2
import numpy as np

from src.data.normalization import ZSCORE, Normalization

DEVIATIONS = 4      # of zscore, that the range of an image is taken to have


def value_range(normalization: Normalization) -> float:
    """Return the width of the range that an image is normalized to."""
    return DEVIATIONS if normalization.mode == ZSCORE else 1 - normalization.input_min


def noise(image: np.ndarray, rng: np.random.Generator, most: float) -> np.ndarray:
    """Add Gaussian noise of a standard deviation from 0 to ``most``."""
    return image + rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0, most))


def blur(image: np.ndarray, rng: np.random.Generator, least: float = 0.5, most: float = 1.0) -> np.ndarray:
    """Blur by a Gaussian of a standard deviation from ``least`` to ``most`` pixels."""
    blurred = cv2.GaussianBlur(image, (0, 0), rng.uniform(least, most), borderType=cv2.BORDER_REFLECT_101)
    return blurred.reshape(image.shape)


def low_resolution(image: np.ndarray, rng: np.random.Generator, least: float = 0.5) -> np.ndarray:
    """Shrink to a factor from ``least`` to 1, and enlarge again: an image of a coarser resolution."""
    height, width = image.shape[:2]
    factor = rng.uniform(least, 1)
    small = cv2.resize(image, (max(1, round(width * factor)), max(1, round(height * factor))),
                       interpolation=cv2.INTER_NEAREST_EXACT)     # INTER_NEAREST would shift it
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).reshape(image.shape)


def brightness(image: np.ndarray, rng: np.random.Generator, low: float, most: float = 1.25) -> np.ndarray:
    """Multiply what is above ``low``, the darkest number of the range, by a factor from 1 / ``most`` to ``most``."""
    return (image - np.float32(low)) * np.float32(most ** rng.uniform(-1, 1)) + np.float32(low)


def contrast(image: np.ndarray, rng: np.random.Generator, most: float = 1.25) -> np.ndarray:
    """Multiply the distance from each channel's mean by a factor from 1 / ``most`` to ``most``, within its extremes."""
    mean, low, high = (function(image, axis=(0, 1)) for function in (np.mean, np.min, np.max))
    return np.clip((image - mean) * np.float32(most ** rng.uniform(-1, 1)) + mean, low, high)


def gamma(image: np.ndarray, rng: np.random.Generator, least: float = 0.7, most: float = 1.5,
          inverted: bool = False) -> np.ndarray:
    """Raise to a power from ``least`` to ``most``, between the image's extremes; ``inverted`` bends the bright end."""
    low, high = float(image.min()), float(image.max())
    if low == high:
        return image
    share = (high - image if inverted else image - low) / np.float32(high - low)
    share = np.power(share, np.float32(np.exp(rng.uniform(np.log(least), np.log(most)))))
    return high - share * np.float32(high - low) if inverted else low + share * np.float32(high - low)


def noise_and_blur(image: np.ndarray, rng: np.random.Generator, normalization: Normalization) -> np.ndarray:
    """Blur one half of the images, and independently add noise to one half, of up to a twentieth of the range."""
    if rng.random() < 0.5:
        image = blur(image, rng)
    if rng.random() < 0.5:
        image = noise(image, rng, value_range(normalization) / 20)
    return normalization.clip(image)


def strong(image: np.ndarray, rng: np.random.Generator, normalization: Normalization) -> np.ndarray:
    """Apply the changes that nnU-Net trains with, each to about the share of the images that it has there.

    Isensee et al.: nnU-Net (2021), supplementary note 4: noise, blur, brightness, contrast, low resolution, gamma.
    """
    span = value_range(normalization)
    low = -span / 2 if normalization.mode == ZSCORE else normalization.input_min
    steps = [(0.1, lambda: noise(image, rng, span / 10)), (0.2, lambda: blur(image, rng)),
             (0.15, lambda: brightness(image, rng, low)), (0.15, lambda: contrast(image, rng)),
             (0.25, lambda: low_resolution(image, rng)), (0.1, lambda: gamma(image, rng, inverted=True)),
             (0.3, lambda: gamma(image, rng))]
    for share, step in steps:
        if rng.random() < share:
            image = step()
    return normalization.clip(image)
