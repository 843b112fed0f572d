"""The weight map of the U-Net paper, which makes a network learn the borders between touching objects.

Ronneberger, Fischer, Brox 2015, arXiv:1505.04597, equation 2: w(x) = w_c + w0 exp(-(d1 + d2)^2 / (2 sigma^2)), d1 and
d2 being the distances of a background pixel to the nearest and the second nearest object. w_c, the weight of the
pixel's class, belongs to the loss; w0, 10 in the paper, is an option.

In the transforms of a sample, the map is the upper byte of class numbers of 16 bits. So the functions that move class
numbers move it too; those that resize them (``src.data.transforms``) separate the two first.
"""
from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from src.data.boundary import EDGE, objects_of
from src.data.reader import Reader, ReaderWrapper

SIGMA = 5.0
FAR = int(4 * SIGMA)        # pixels; where both distances are at least half of it, the weight is below 0.2 % of w0
WEIGHT_STEPS = 255          # the weights 0 to 1 as a byte


def border_map(classes: np.ndarray, instances: np.ndarray | None = None, has_rim: bool = False) -> np.ndarray:
    """Compute the equation's second term, divided by w0: (H, W) classes -> (H, W) float32 from 0 to 1.

    It is 0 inside objects and at ignored pixels. Objects are those that ``instances`` numbers, if the mask has such
    numbers; else the regions of one class that are connected by sides, not corners.

    With ``has_rim`` classes are those of ``src.data.boundary``. A rim is not inside then: d1 is 0 on it, so the map is
    largest where objects touch, and nearly 0 on the rim of an object that is far from others.
    """
    nearest = np.full((2, *classes.shape), np.inf, np.float32)      # the two smallest distances
    for mask, window in _objects(objects_of(classes, instances)):
        distance = ndimage.distance_transform_edt(~mask).astype(np.float32)
        first, second = nearest[0][window], nearest[1][window]
        np.minimum(second, np.maximum(first, distance), out=second)
        np.minimum(first, distance, out=first)
    weight = np.exp(-(nearest.sum(axis=0) ** 2) / (2 * SIGMA ** 2))
    inside = classes > 0
    if has_rim:
        inside &= classes != EDGE
    weight[inside] = 0
    return weight.astype(np.float32)


def _objects(numbers: np.ndarray) -> Iterator[tuple[np.ndarray, tuple[slice, ...]]]:
    """Yield each object as a mask in a window that reaches FAR pixels beyond it."""
    from skimage.segmentation import relabel_sequential  # takes a moment to load

    labels = relabel_sequential(numbers)[0]
    for index, box in enumerate(ndimage.find_objects(labels), 1):
        window = tuple(slice(max(0, side.start - FAR), side.stop + FAR) for side in box)
        yield labels[window] == index, window


class BorderReader(ReaderWrapper):
    """A reader whose classes carry their weight maps in the upper byte; see ``border_map`` for ``has_rim``."""

    def __init__(self, reader: Reader, has_rim: bool = False) -> None:
        super().__init__(reader)
        self.has_rim = has_rim

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image, classes = self.reader[index]
        return image, with_weights(classes, self.reader.instances(index), self.has_rim)


class WithoutWeights(ReaderWrapper):
    """A reader of the classes alone, over one that also gives their weight maps."""

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image, packed = self.reader[index]
        return image, split_weights(packed)[0]


def with_weights(classes: np.ndarray, instances: np.ndarray | None = None, has_rim: bool = False) -> np.ndarray:
    """Return classes (H, W) with their weight map, as ``pack_weights`` does; see ``border_map``."""
    return pack_weights(classes, np.rint(border_map(classes, instances, has_rim) * WEIGHT_STEPS).astype(np.uint8))


def pack_weights(classes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pack classes and weights, both (H, W) uint8, into one (H, W) uint16."""
    return classes | (weights.astype(np.uint16) << 8)


def split_weights(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Undo ``pack_weights``: return (classes, weights); weights is None if there are only classes, in uint8."""
    if packed.dtype != np.uint16:
        return packed, None
    return (packed & 255).astype(np.uint8), (packed >> 8).astype(np.uint8)


def pixel_weights(weights: np.ndarray, w0: float) -> np.ndarray:
    """Turn (H, W) uint8 weights into (1, H, W) float32 factors for the loss, from 1 to 1 + w0."""
    return (1 + weights.astype(np.float32) * np.float32(w0 / WEIGHT_STEPS))[None]
