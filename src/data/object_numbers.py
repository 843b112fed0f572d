"""Masks whose numbers are those of objects: each object has one of its own."""
from collections.abc import Mapping, Sequence

import numpy as np

from src.data.mask_pixels import ReadableMask

REGIONS_PER_OBJECT = 1.2    # with more of them, the numbers are not those of objects
LARGEST_NUMBER = 2**24      # of an object


def are_objects(masks: Sequence[ReadableMask], seen: Mapping[int, int]) -> bool:
    """Return whether masks look as if each number was an object.

    ``seen`` are all numbers of the data set that are known. They begin at 0 and have few gaps, and the pixels of a
    number are connected.
    """
    numbers = [value for value in seen if value]
    if any(mask.pixels.is_colour or mask.pixels.is_lossy for mask in masks) or 0 not in seen or min(seen) < 0:
        return False
    if not numbers or len(numbers) < 32 and 2 * len(numbers) < max(numbers):
        return False
    from skimage.measure import label  # takes a moment to load

    regions = sum(label(np.where(mask.ignored, 0, mask.pixels.numbers), connectivity=2).max() for mask in masks)
    return regions <= REGIONS_PER_OBJECT * sum(len(mask.counts.keys() - {0}) for mask in masks)


def as_object_numbers(numbers: np.ndarray) -> np.ndarray:
    """Return the (H, W) numbers of objects, from 0 on, as int32.

    Large ones are replaced by small ones: tables have a place for each number up to the largest.
    """
    if numbers.max(initial=0) > LARGEST_NUMBER:
        _, places = np.unique(np.append(numbers.reshape(-1), 0), return_inverse=True)
        numbers = places[:-1].reshape(numbers.shape)
    return numbers.astype(np.int32)
