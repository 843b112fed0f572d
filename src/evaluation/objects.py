"""Objects, such as nuclei and cells, from the probabilities of their pixels.

The foreground are the pixels whose probability of not being background is above a threshold. Of more than two classes,
each pixel of it is of its most likely class but 0, and each class has its objects. Objects are connected by sides, not
by corners, and are split where they touch:

* a network of a boundary class (``src.data.boundary``) says where: seeds are the regions whose smoothed probability of
  the interior is above a threshold;
* otherwise seeds are the peaks of distance to the background times smoothed probability that are far enough apart.

A watershed grows the seeds until they fill the foreground; a region without a seed is one object.
"""
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from src.model_utils.config import Config

SMOOTHING = 1.0     # standard deviation in pixels of the Gaussian that smooths probabilities and distances

WATERSHED, COMPONENTS = "watershed", "components"


@dataclass(frozen=True)
class ObjectOptions:
    """How objects are found.

    Attributes:
        threshold: of the probability of the foreground.
        split: watershed, or components for the connected regions of the foreground.
        min_distance: least distance of two seeds in pixels, where there is no boundary class.
        seed_threshold: of the probability of the interior, where there is a boundary class.
        fill_holes: give the holes of an object to it.
        min_size: pixels of the smallest object that stays.
        min_probability: mean probability of its class of the least certain object that stays.
    """
    threshold: float = 0.5
    split: str = WATERSHED
    min_distance: int = 5
    seed_threshold: float = 0.5
    fill_holes: bool = True
    min_size: float = 0
    min_probability: float = 0

    @classmethod
    def from_config(cls, config: Config) -> "ObjectOptions":
        """Take fill_holes and the options that begin with ``object_``; object_min_size is taken as pixels."""
        return cls(config.object_threshold, config.object_split, config.object_min_distance,
                   config.object_seed_threshold, config.fill_holes, config.object_min_size,
                   config.object_min_probability)

    def stay(self, areas: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """Return which objects are large and certain enough.

        Args:
            areas: pixels of each object; objects without any do not stay.
            sums: sum of the probabilities of its class over the pixels of each object.
        """
        return (areas >= max(1, self.min_size)) & (sums >= self.min_probability * areas)


class Objects(NamedTuple):
    """Objects of an image.

    Attributes:
        labels: (H, W) int32 numbers of objects from 1 on, 0 for the background.
        classes: number of an object -> its class; 0 for number 0.
    """
    labels: np.ndarray
    classes: np.ndarray


def without_rim(probabilities: np.ndarray) -> np.ndarray:
    """Turn (..., 3) probabilities of background, interior and rim into (..., 2) of background and foreground."""
    return np.stack([probabilities[..., 0], probabilities[..., 1] + probabilities[..., 2]], axis=-1)


def find_objects(probabilities: np.ndarray, options: ObjectOptions, interior: np.ndarray | None = None) -> Objects:
    """Find the objects of an image.

    Args:
        probabilities (np.ndarray): (H, W, classes) floats, class 0 being the background.
        options (ObjectOptions): how.
        interior (np.ndarray): (H, W) probabilities of the interior of objects, of a network with a boundary class.
    """
    labels, classes = separate(probabilities, options, interior)
    kept = options.stay(*areas_and_sums(Objects(labels, classes), probabilities))
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return Objects(numbers[labels], np.concatenate([[0], classes[kept]]))


def areas_and_sums(objects: Objects, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of each object, and the sum over them of the probabilities of its class, by number from 0 on.

    Args:
        objects: the objects, of (H, W) pixels.
        probabilities: (H, W, classes) floats.
    """
    own = np.take_along_axis(probabilities, objects.classes[objects.labels][..., None], axis=-1)
    numbers, count = objects.labels.reshape(-1), len(objects.classes)
    return np.bincount(numbers, minlength=count), np.bincount(numbers, own.reshape(-1), count)


def separate(probabilities: np.ndarray, options: ObjectOptions, interior: np.ndarray | None = None) -> Objects:
    """Find the objects as ``find_objects`` does, of any size and probability."""
    foreground = probabilities[..., 1:].sum(axis=-1) > options.threshold
    likely = probabilities[..., 1:].argmax(axis=-1) + 1
    labels, parts = np.zeros(foreground.shape, np.int32), [np.zeros(1, int)]
    for number in range(1, probabilities.shape[-1]):
        mask, probability = foreground & (likely == number), probabilities[..., number]
        if options.fill_holes and options.split == WATERSHED:
            specks = _specks(mask, options.min_distance) & ~foreground
            mask, probability = mask | specks, np.where(specks, 1, probability)
        found = _split(mask, probability, interior, options)
        known = sum(map(len, parts)) - 1
        np.add(found, known, out=labels, where=mask)
        parts.append(np.full(found.max(initial=0), number))
    if options.fill_holes:
        fill_holes(labels)
    return Objects(labels, np.concatenate(parts))


def _split(mask: np.ndarray, probability: np.ndarray, interior: np.ndarray | None,
           options: ObjectOptions) -> np.ndarray:
    """Return (H, W) numbers of the objects of one class from 1 on; 0 outside of ``mask``."""
    from skimage.feature import peak_local_max  # these take a moment to load
    from skimage.measure import label
    from skimage.segmentation import watershed

    regions = label(mask, connectivity=1)
    if options.split == COMPONENTS:
        return regions
    if interior is None:
        distance = ndimage.distance_transform_edt(mask).astype(np.float32)
        height = _smooth(distance) * _smooth(probability) * mask
        peaks = peak_local_max(height, min_distance=options.min_distance, threshold_abs=0, exclude_border=False)
        seeds = np.zeros(mask.shape, np.int32)
        seeds[tuple(peaks.T)] = 1
        seeds[seeds > 0] = np.arange(1, len(peaks) + 1)     # from top to bottom, not by height
    else:
        height = _smooth(interior)
        seeds = label((height > options.seed_threshold) & mask, connectivity=1)
    count = regions.max(initial=0)
    has_seed = np.bincount(regions[seeds > 0], minlength=count + 1) > 0
    seeds = np.where(has_seed[regions] | ~mask, seeds, regions + seeds.max(initial=0))
    objects = watershed(-height, seeds, mask=mask)
    # Numbers without gaps.
    used = np.bincount(objects.reshape(-1)) > 0
    used[0] = False
    return np.cumsum(used)[objects] * mask


def _smooth(values: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(values.astype(np.float32, copy=False), SMOOTHING)


def _specks(mask: np.ndarray, radius: int) -> np.ndarray:
    """Return the holes that are smaller than a disc. They have to be filled first, or the objects around are split."""
    from skimage.measure import label

    holes = label(~mask, connectivity=2)
    small = np.bincount(holes.reshape(-1)) < np.pi * radius ** 2
    small[0] = False
    small[_on_border(holes)] = False
    return small[holes]


def fill_holes(labels: np.ndarray) -> None:
    """Give the holes of objects to them, in place: background regions that only one object and no border touches.

    Args:
        labels (np.ndarray): (H, W) numbers of objects, 0 for the background.
    """
    from skimage.measure import label

    holes = label(labels == 0, connectivity=2)      # what sides connect, corners do not surround
    low = np.full(holes.max(initial=0) + 1, np.iinfo(np.int32).max)
    high = np.zeros_like(low)
    for numbers, places in ((labels, holes), (labels.T, holes.T)):
        for objects, regions in ((numbers[1:], places[:-1]), (numbers[:-1], places[1:])):
            beside = (objects > 0) & (regions > 0)
            np.minimum.at(low, regions[beside], objects[beside])
            np.maximum.at(high, regions[beside], objects[beside])
    high[_on_border(holes)] = -1
    owner = np.where(low == high, low, 0)
    owner[0] = 0
    labels += owner[holes].astype(labels.dtype)


def _on_border(labels: np.ndarray) -> np.ndarray:
    return np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
