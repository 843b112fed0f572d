"""Pictures of class maps."""
import colorsys
import io
from pathlib import Path

import numpy as np
from PIL import Image

from src.model_utils.files import write_atomically


def palette(colors, num_classes):
    """(num_classes, 3) uint8 RGB: ``colors`` first, then further ones around the colour circle."""
    golden = 0.618034   # the golden section keeps neighbours far apart however many there are
    more = [[round(255 * part) for part in colorsys.hsv_to_rgb(golden * number % 1, 0.65, 0.9)]
            for number in range(num_classes - len(colors))]
    return np.array([*colors, *more], np.uint8)


def png_bytes(array):
    """A uint8 gray or RGB array as a PNG file's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


class ClassDrawer:
    """Draws predict-N.png and mask-N.png, N from 1, into a folder."""

    def __init__(self, folder, colors, num_classes):
        self.folder = Path(folder)
        self.palette = palette(colors, num_classes)

    def remove_beyond(self, count):
        """Remove the pictures of an earlier, longer evaluation, which would stand beside this one's."""
        for path in self.folder.glob("*.png"):
            kind, _, number = path.stem.partition("-")
            if kind in ("predict", "mask") and number.isdigit() and int(number) > count:
                path.unlink()

    def draw(self, number, predicted, classes):
        """Draw one image's predicted classes and its label's, both (H, W) integers."""
        for kind, values in (("predict", predicted), ("mask", classes)):
            write_atomically(self.folder / f"{kind}-{number}.png", png_bytes(self.palette[values]))
