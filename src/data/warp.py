"""Random geometric transforms of patches: scale, angle, flips, turns and elastic deformation in one interpolation.

Coordinates are (row, column) in pixels, from the centre of a patch. A point p of the patch shows the point
``matrix @ (p + shift(p))`` of the image, from the centre of the window that the patch was drawn at.
"""
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from src.data.augment import displacements

QUARTER = np.array([[0, 1], [-1, 0]])       # of np.rot90: what the patch shows at p is at QUARTER @ p
SPARE = 2                                   # pixels that interpolation and rounding may need beyond the corners

# Reads rows top to bottom and columns left to right of image and classes, mirrored outside: (top, left, height, width).
ReadWindow = Callable[[tuple[int, int], tuple[int, int]], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class WarpOptions:
    """Which geometric transforms are drawn.

    Attributes:
        flip: upside down and left to right, each for half of the patches.
        rot90: by 0, 90, 180 or 270 degrees.
        scale: smallest and largest factor by which objects are enlarged, the same for both sides; None for none.
        rotate: by any angle.
        elastic: standard deviation in pixels of the elastic deformation, see ``src.data.augment.elastic``; 0 for none.
        scaled, rotated, deformed: share of the patches that each of these three is done to.
    """
    flip: bool = False
    rot90: bool = False
    scale: tuple[float, float] | None = None
    rotate: bool = False
    elastic: float = 0.0
    scaled: float = 1.0
    rotated: float = 1.0
    deformed: float = 1.0


@dataclass(frozen=True)
class Warp:
    """One geometric transform.

    Attributes:
        turns: number of quarter turns, counter-clockwise.
        flips: whether the turned patch is flipped upside down, and left to right.
        scale: factor by which objects are enlarged.
        angle: by which they are rotated before, in radians, counter-clockwise.
        shift: None, or (2, height, width) displacement of rows and columns.
    """
    turns: int = 0
    flips: tuple[bool, bool] = (False, False)
    scale: float = 1.0
    angle: float = 0.0
    shift: np.ndarray | None = None

    @classmethod
    def draw(cls, options: WarpOptions, size: tuple[int, int], rng: np.random.Generator) -> "Warp":
        """Draw a transform of patches of ``size`` (height, width)."""
        flips = (rng.random() < 0.5, rng.random() < 0.5) if options.flip else (False, False)
        turns = int(rng.integers(4)) if options.rot90 else 0
        scale, angle, shift = 1.0, 0.0, None
        if options.scale and rng.random() < options.scaled:
            scale = float(np.exp(rng.uniform(*np.log(options.scale))))
        if options.rotate and rng.random() < options.rotated:
            angle = float(rng.uniform(0, 2 * np.pi))
        if options.elastic and rng.random() < options.deformed:
            shift = displacements(size, rng, options.elastic).astype(np.float32)
        return cls(turns, flips, scale, angle, shift)

    def window_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) of the window of the image that becomes a patch of ``size``, before scaling."""
        return (size[1], size[0]) if self.turns % 2 else size

    @property
    def is_exact(self) -> bool:
        """Whether pixels only change their places, so that nothing is interpolated."""
        return self.scale == 1 and self.angle == 0 and self.shift is None

    @property
    def matrix(self) -> np.ndarray:
        """The matrix of the module's equation, (2, 2)."""
        sine, cosine = np.sin(self.angle), np.cos(self.angle)
        rotation = np.array([[cosine, sine], [-sine, cosine]])      # QUARTER for an angle of 90 degrees
        flips = np.diag([-1 if flip else 1 for flip in self.flips])
        return rotation @ np.linalg.matrix_power(QUARTER, self.turns) @ flips / self.scale

    def apply(self, read: ReadWindow, corner: tuple[int, int], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Read what a patch needs, and make it.

        Args:
            read: reads a window.
            corner: first row and column of the window of ``window_size`` that the patch is drawn at.
            size: (height, width) of the patch.

        Returns:
            tuple: the image, interpolated bilinearly, and the classes of the nearest pixels.
        """
        if self.is_exact:
            window = read(corner, self.window_size(size))
            axes = [axis for axis in (0, 1) if self.flips[axis]]
            image, classes = (np.flip(np.rot90(array, self.turns), axes) for array in window)
            return image, classes
        centre = np.array(corner) + (np.array(self.window_size(size)) - 1) / 2
        first, stop = self._reach(size)
        top, left = np.floor(centre + first).astype(int) - SPARE
        bottom, right = np.ceil(centre + stop).astype(int) + SPARE + 1
        image, classes = read((top, left), (bottom - top, right - left))
        rows, columns = self._places(size, centre - (top, left))
        warped = cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return (warped.reshape(*size, image.shape[2]),
                cv2.remap(classes, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101))

    def _reach(self, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and largest coordinates (2,) that a patch shows, from the centre of its window."""
        half = (np.array(size) - 1) / 2
        if self.shift is not None:
            half = half + np.abs(self.shift).max(axis=(1, 2))
        reach = np.abs(self.matrix) @ half
        return -reach, reach

    def _places(self, size: tuple[int, int], centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and columns, (height, width) float32 each, that the pixels of a patch show."""
        rows, columns = ((np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)) for side in size)
        down, across = rows[:, None], columns[None, :]
        if self.shift is not None:
            down, across = down + self.shift[0], across + self.shift[1]
        matrix = self.matrix.astype(np.float32)
        y, x = (row[0] * down + row[1] * across + np.float32(middle) for row, middle in zip(matrix, centre))
        return y, x
