"""Images of class numbers."""
import colorsys
import io
from pathlib import Path

import numpy as np
from PIL import Image

from src.evaluation.evaluate import ScoredImage
from src.model_utils.files import write_atomically


def palette(colors: list[list[int]], num_classes: int) -> np.ndarray:
    """Return (num_classes, 3) uint8 RGB or more rows: ``colors`` first, then hues around the colour circle."""
    golden = 0.618034   # steps of the golden section keep neighbours far apart for any number of classes
    more = [[round(255 * part) for part in colorsys.hsv_to_rgb(golden * number % 1, 0.65, 0.9)]
            for number in range(num_classes - len(colors))]
    return np.array([*colors, *more], np.uint8)


def png_bytes(array: np.ndarray) -> bytes:
    """Encode a uint8 array, (H, W) gray or (H, W, 3) RGB, as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


class ClassDrawer:
    """Draws the images of an evaluation into a folder: predict-N.png and mask-N.png, N from 1.

    Args:
        folder (Path): where the files go.
        colors (list): RGB values of the first classes; see ``palette``.
        num_classes (int): number of classes.
    """

    def __init__(self, folder: Path, colors: list[list[int]], num_classes: int) -> None:
        self.folder = folder
        self.palette = palette(colors, num_classes)

    def draw(self, image: ScoredImage) -> None:
        """Draw the predicted classes and the label of an image."""
        for kind, classes in (("predict", image.predicted), ("mask", image.classes)):
            write_atomically(self.folder / f"{kind}-{image.index + 1}.png", png_bytes(self.palette[classes]))

    def remove_beyond(self, count: int) -> None:
        """Remove what an earlier evaluation of more than ``count`` images has left."""
        for path in self.folder.glob("*.png"):
            kind, _, number = path.stem.partition("-")
            if kind in ("predict", "mask") and number.isdigit() and int(number) > count:
                path.unlink()
