"""The target boundary: three classes, background, interior and rim, made of masks of two classes.

A network that learns where objects end tells objects apart that touch. The rim are the pixels of an object that are at
most ``RIM`` pixels away from what is not of the same object. Semantic scores take interior and rim together.
"""
import numpy as np
from scipy import ndimage

from src.data.class_values import IGNORED
from src.data.reader import ReaderWrapper

RIM = 2                 # pixels
INTERIOR, EDGE = 1, 2   # classes

_ROWS, _COLUMNS = np.mgrid[-RIM:RIM + 1, -RIM:RIM + 1]
_DISC = _ROWS ** 2 + _COLUMNS ** 2 <= RIM ** 2


def objects_of(classes: np.ndarray, instances: np.ndarray | None = None) -> np.ndarray:
    """Return the (H, W) int32 numbers of the objects in a mask, 0 for the background and for ignored pixels.

    They are ``instances`` if the mask has them, else the regions of one class that are connected by sides.
    """
    from skimage.measure import label  # takes a moment to load

    if instances is not None:
        return np.where(classes == IGNORED, 0, instances).astype(np.int32)
    return label(np.where(classes == IGNORED, 0, classes), connectivity=1).astype(np.int32)


def boundary_classes(classes: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Divide class 1 into interior and rim: (H, W) uint8 classes, or IGNORED.

    Args:
        classes (np.ndarray): (H, W) uint8 classes 0 and 1, or IGNORED.
        objects (np.ndarray): (H, W) int32, see ``objects_of``.
    """
    alone = (ndimage.minimum_filter(objects, footprint=_DISC, mode="nearest")
             == ndimage.maximum_filter(objects, footprint=_DISC, mode="nearest"))
    return np.where(classes == INTERIOR, np.where(alone & (objects > 0), INTERIOR, EDGE), classes).astype(np.uint8)


class BoundaryReader(ReaderWrapper):
    """A reader of background, interior and rim over one of two classes."""

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image, classes = self.reader[index]
        return image, boundary_classes(classes, objects_of(classes, self.reader.instances(index)))

    def mask_classes(self, index: int) -> np.ndarray:
        classes = self.reader.mask_classes(index)
        return boundary_classes(classes, objects_of(classes, self.reader.instances(index)))

    def instances(self, index: int) -> np.ndarray:
        """Return the (H, W) object numbers; without it, the border weights would take the rim for an object."""
        return objects_of(self.reader.mask_classes(index), self.reader.instances(index))


class WithoutRim(ReaderWrapper):
    """A reader of two classes over one of background, interior and rim."""

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image, classes = self.reader[index]
        return image, np.where(classes == EDGE, INTERIOR, classes).astype(np.uint8)
