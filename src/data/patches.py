"""Training samples that are patches of images in their own sizes."""
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from src.data import photometric
from src.data.augment import IN_PLACE, Augmentation, apply_steps
from src.data.normalization import Normalization
from src.data.transforms import to_unit_range
from src.data.warp import Warp, WarpOptions
from src.data.window_reader import WindowReader

ELASTIC = 10.0              # pixels, of the U-Net paper
# The strong augmentation, in the spirit of nnU-Net's for two dimensions.
STRONG = "strong"
STRONG_SCALE, STRONG_ELASTIC = (0.7, 1.4), 4.0
STRONG_SHARE = 0.2          # of the patches that are scaled, that are rotated, and that are deformed


@dataclass(frozen=True)
class PatchOptions:
    """Which patches are drawn.

    Attributes:
        size: (height, width) in pixels.
        label_size: (height, width) of the label, the centre of the patch.
        foreground: share of the patches whose label is centred on a pixel of a random class other than 0.
        per_image: patches of each image in one pass over the data.
    """
    size: tuple[int, int]
    label_size: tuple[int, int]
    foreground: float = 0.0
    per_image: int = 1


class Patches:
    """Draws patches of images in their own sizes, and augments them.

    The label of a patch lies in the image, or has the image in its middle if that is smaller; what the patch shows
    beyond the image is its mirror image.

    Args:
        reader: reads windows of the images.
        normalization: how their numbers become the network's input.
        options: which patches.
        augmentation: what is done to them.

    Attributes:
        margin: rows, and columns, by which the label is smaller than the patch.
    """

    def __init__(self, reader: WindowReader, normalization: Normalization, options: PatchOptions,
                 augmentation: Augmentation):
        self.reader, self.normalization, self.options, self.augmentation = reader, normalization, options, augmentation
        self.margin = options.size[0] - options.label_size[0], options.size[1] - options.label_size[1]
        self.is_strong = augmentation.on and augmentation.policy == STRONG
        self.warp_options = warp_options(augmentation, self.is_strong)

    def draw(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (height, width, C) float32 in the input range, and (height, width) classes."""
        warp = Warp.draw(self.warp_options, self.options.size, rng)
        corner = self._corner(index, warp, rng)
        image, classes = warp.apply(partial(self._read, index), corner, self.options.size)
        image = to_unit_range(np.ascontiguousarray(image), self.normalization.input_min)
        image, classes = apply_steps(self.augmentation, image, classes, rng, self.normalization, IN_PLACE)
        return photometric.strong(image, rng, self.normalization) if self.is_strong else image, classes

    def _corner(self, index: int, warp: Warp, rng: np.random.Generator) -> tuple[int, int]:
        """Return the first row and column of the window of the image that becomes the patch."""
        size, margin = warp.window_size(self.options.size), warp.window_size(self.margin)
        label = [side - lost for side, lost in zip(size, margin)]
        centre: Sequence[int] | None = None
        if rng.random() < self.options.foreground:
            centre = self._pixel_of_a_class(index, rng)
        corners = [_start(length, side, rng, None if centre is None else centre[axis])
                   for axis, (length, side) in enumerate(zip(self.reader.size(index), label))]
        return corners[0] - margin[0] // 2, corners[1] - margin[1] // 2

    def _pixel_of_a_class(self, index: int, rng: np.random.Generator) -> tuple[int, int] | None:
        """Draw one of the classes that an image has, and one of its pixels; None if it has only background."""
        positions = self.reader.positions(index)
        if not positions:
            return None
        places = positions[rng.integers(len(positions))]
        row, column = divmod(int(places[rng.integers(len(places))]), self.reader.size(index)[1])
        return row, column

    def _read(self, index: int, corner: tuple[int, int], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Read a window of an image and its classes, mirrored at the borders of the image."""
        inside, border = split_at_borders(corner, size, self.reader.size(index))
        image, classes = self.reader.window(index, inside)
        if not any(border):
            return image, classes
        return _mirror(image, border), _mirror(classes, border)


def warp_options(augmentation: Augmentation, is_strong: bool) -> WarpOptions:
    """Return the geometric transforms of an augmentation; what only the strong one does is done to some patches."""
    found = WarpOptions(augmentation.on or augmentation.flip, augmentation.rot90, augmentation.scale,
                        augmentation.rotate, ELASTIC if augmentation.elastic else 0)
    if not is_strong:
        return found
    if not found.scale:
        found = replace(found, scale=STRONG_SCALE, scaled=STRONG_SHARE)
    if not found.rotate:
        found = replace(found, rotate=True, rotated=STRONG_SHARE)
    return found if found.elastic else replace(found, elastic=STRONG_ELASTIC, deformed=STRONG_SHARE)


def _start(length: int, side: int, rng: np.random.Generator, centre: int | None) -> int:
    """Return where a window of ``side`` pixels begins in ``length``.

    It is around ``centre`` as far as the borders allow, or at random. If it is longer, it has all in its middle.
    """
    if side > length:
        return (length - side) // 2
    if centre is None:
        return int(rng.integers(0, length - side + 1))
    return min(max(centre - side // 2, 0), length - side)


def split_at_borders(corner: Sequence[int], size: Sequence[int],
                     image: Sequence[int]) -> tuple[tuple[slice, slice], tuple[int, int, int, int]]:
    """Divide a window into its part inside an image and what lies beyond.

    Args:
        corner: first row and column of the window, which may be outside.
        size: (height, width) of the window.
        image: (height, width) of the image. The window's centre lies in it.

    Returns:
        tuple: the part inside, and the rows above and below it and the columns left and right of it.
    """
    (top, left), (height, width) = ([int(number) for number in pair] for pair in (corner, size))
    rows, columns = slice(max(0, top), min(image[0], top + height)), slice(max(0, left), min(image[1], left + width))
    return (rows, columns), (rows.start - top, top + height - rows.stop, columns.start - left,
                             left + width - columns.stop)


def _mirror(window: np.ndarray, border: tuple[int, int, int, int]) -> np.ndarray:
    mirrored = cv2.copyMakeBorder(window, *border, cv2.BORDER_REFLECT_101)
    return mirrored.reshape(*mirrored.shape[:2], *window.shape[2:])
