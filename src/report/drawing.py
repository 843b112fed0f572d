"""Images of class numbers."""
import colorsys
import io
import logging
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from src.evaluation.evaluate import ScoredImage
from src.model_utils.files import DRAW_EVAL, OptionalFile, remove, write_atomically

logger = logging.getLogger("unet")

IGNORED_GRAY = (128, 128, 128)


def palette(colors: list[list[int]], num_classes: int) -> np.ndarray:
    """Return (num_classes, 3) uint8 RGB or more rows: ``colors`` first, then hues around the colour circle."""
    golden = 0.618034   # steps of the golden section keep neighbours far apart for any number of classes
    more = [[round(255 * part) for part in colorsys.hsv_to_rgb(golden * number % 1, 0.65, 0.9)]
            for number in range(num_classes - len(colors))]
    return np.array([*colors, *more], np.uint8)


def class_colours(colors: list[list[int]], num_classes: int) -> np.ndarray:
    """Return (256, 3) uint8 RGB: the ``palette`` of the classes, and gray for ignored pixels."""
    colours = np.full((256, 3), IGNORED_GRAY, np.uint8)
    colours[:num_classes] = palette(colors, num_classes)[:num_classes]
    return colours


def png_bytes(array: np.ndarray) -> bytes:
    """Encode a uint8 array, (H, W) gray or (H, W, 3) RGB, as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


class ClassDrawer:
    """Draws the images of an evaluation into draw_eval: predict-N.png and mask-N.png, N from 1.

    If they cannot be written, there is a warning and no picture.

    Ignored pixels of a label are gray.

    Args:
        output (PathLike): the folder in which they get a folder of their own; its path may change during a run.
        colors (list): RGB values of the first classes; see ``palette``.
        num_classes (int): number of classes.
    """

    def __init__(self, output: str | PathLike[str], colors: list[list[int]], num_classes: int) -> None:
        self.output = output
        self.colours = class_colours(colors, num_classes)
        self._files = OptionalFile()
        self._drawn: set[int] = set()       # numbers of the images of this evaluation

    @property
    def folder(self) -> Path:
        """Where the files go."""
        return Path(self.output) / DRAW_EVAL

    def draw(self, image: ScoredImage) -> None:
        """Draw the predicted classes and the label of an image."""
        self._drawn.add(image.index + 1)
        self._files.write(self._draw, image)

    def _draw(self, image: ScoredImage) -> None:
        for kind, classes in (("predict", image.predicted), ("mask", image.classes)):
            write_atomically(self.folder / f"{kind}-{image.index + 1}.png", png_bytes(self.colours[classes]))

    def finish(self) -> None:
        """Remove the pictures of images that only an earlier evaluation drew, and log where the pictures are."""
        self._files.write(self._remove_others)
        self._drawn.clear()
        if not self._files.failed:
            logger.info("pictures: %s", self.folder)

    def _remove_others(self) -> None:
        for path in self.folder.glob("*.png"):
            kind, _, number = path.stem.partition("-")
            if kind in ("predict", "mask") and number.isdigit() and int(number) not in self._drawn:
                remove(path)
