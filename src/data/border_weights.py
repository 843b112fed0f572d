"""The weight map of the U-Net paper, which makes a network learn the borders between touching objects.

Ronneberger, Fischer, Brox 2015, arXiv:1505.04597, equation 2: w(x) = w_c + w0 exp(-(d1 + d2)^2 / (2 sigma^2)), d1 and
d2 being the distances of a background pixel to the nearest and the second nearest object. w_c, the weight of the
pixel's class, is the loss's own matter, and w0, 10 in the paper, is an option.

On its way through the transforms of a sample the map is the upper byte of the class numbers, 16 bits then: whatever
moves class numbers moves it along, and what resizes them (``src.data.transforms``) takes the two apart.
"""
import numpy as np
from scipy import ndimage

SIGMA = 5.0
FAR = int(4 * SIGMA)        # with both distances half of it or more, the weight is below 0.2 % of w0
LEVELS = 255                # of a pixel's share of w0


def border_map(classes):
    """(H, W) classes -> (H, W) float32 from 0 to 1: the equation's second term in parts of w0, 0 inside objects.

    Objects are the connected regions (sides, not corners) of one class other than 0.
    """
    nearest = np.full((2, *classes.shape), np.inf, np.float32)      # the two smallest distances
    for mask, window in _objects(classes):
        distance = ndimage.distance_transform_edt(~mask).astype(np.float32)
        first, second = nearest[0][window], nearest[1][window]
        np.minimum(second, np.maximum(first, distance), out=second)
        np.minimum(first, distance, out=first)
    weight = np.exp(-(nearest.sum(axis=0) ** 2) / (2 * SIGMA ** 2))
    weight[classes > 0] = 0
    return weight.astype(np.float32)


def _objects(classes):
    """Each object as a mask in a window that reaches FAR pixels beyond it."""
    for number in np.unique(classes[classes > 0]):
        labels, _ = ndimage.label(classes == number)
        for index, box in enumerate(ndimage.find_objects(labels), 1):
            window = tuple(slice(max(0, side.start - FAR), side.stop + FAR) for side in box)
            yield labels[window] == index, window


class BorderReader:
    """A reader whose classes carry their weight maps in the upper byte.

    Each map is made once and kept, a byte a pixel of the masks.
    """

    def __init__(self, reader):
        self.reader = reader
        self.maps = {}

    def __len__(self):
        return len(self.reader)

    def __getitem__(self, index):
        image, classes = self.reader[index]
        if index not in self.maps:
            self.maps[index] = np.rint(border_map(classes) * LEVELS).astype(np.uint8)
        return image, pack(classes, self.maps[index])

    def __getattr__(self, name):
        return getattr(self.reader, name)


def pack(classes, border):
    """Classes and map, both (H, W) uint8, as one (H, W) uint16."""
    return classes | (border.astype(np.uint16) << 8)


def unpack(packed):
    """What ``pack`` was given; classes alone have no map."""
    if packed.dtype != np.uint16:
        return packed, None
    return (packed & 255).astype(np.uint8), (packed >> 8).astype(np.uint8)


def pixel_weights(border, w0):
    """(H, W) uint8 map -> (1, H, W) float32 weights, 1 to 1 + w0."""
    return (1 + border.astype(np.float32) * np.float32(w0 / LEVELS))[None]
