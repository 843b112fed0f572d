"""The files that prediction writes: masks, and where asked for probabilities and overlays."""
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import tifffile

from src.drawing import palette, png_bytes
from src.model_utils.files import replacing, write_atomically

OPACITY = 0.4           # of the mask over the picture
TIFF_LIMIT = 4e9        # bytes; beyond it a TIFF has to be a BigTIFF, which fewer programs read


class MaskWriter:
    """Writes ``predictions/NAME.png`` into output_path: class numbers, or 0 and 255 for two classes.

    A TIFF file's mask is ``NAME.tif``, of as many pages. ``probabilities/NAME.tif`` is float32: (H, W) of class 1
    for two classes, else (classes, H, W), page after page. ``overlays/NAME.png`` (or ``.tif``) shows the classes
    from 1 on over the picture.

    Args:
        config (Config): output_path, num_classes, save_probability, overlay and color count.
    """

    def __init__(self, config):
        output = Path(config.output_path)
        self.folder = output / "predictions"
        self.probability_folder = output / "probabilities" if config.save_probability else None
        self.overlay_folder = output / "overlays" if config.overlay else None
        self.num_classes = config.num_classes
        self.palette = palette(config.color, config.num_classes)

    @contextmanager
    def open(self, picture, pages):
        """Yield where a picture's pages go; TIFF files appear when all of them have been added."""
        with ExitStack() as stack:
            def file(folder, as_tiff=picture.is_tiff):
                if folder is None:
                    return None
                return _tiff(folder / f"{picture.name}.tif", pages, stack) if as_tiff else _png(
                    folder / f"{picture.name}.png")
            yield PageWriter(self, file(self.folder), file(self.probability_folder, as_tiff=True),
                             file(self.overlay_folder))


class PageWriter:
    """Writes the pages of one picture; see MaskWriter."""

    def __init__(self, writer, write_mask, write_probability, write_overlay):
        self.num_classes, self.palette = writer.num_classes, writer.palette
        self.write_mask, self.write_probability, self.write_overlay = write_mask, write_probability, write_overlay

    def add(self, pixels, probability_rows):
        """Add a page.

        Args:
            pixels (np.ndarray): (H, W, C) uint8, gray or blue, green, red.
            probability_rows (iterable): the page's probabilities from top to bottom, (rows, W, classes) float32.
        """
        size = pixels.shape[:2]
        mask = np.empty(size, np.uint8)
        first = 1 if self.num_classes == 2 else 0
        probabilities = np.empty((self.num_classes - first, *size), np.float32) if self.write_probability else None
        overlay = np.empty((*size, 3), np.uint8) if self.write_overlay else None
        top = 0
        for rows in probability_rows:
            strip = slice(top, top + len(rows))
            mask[strip] = rows.argmax(axis=-1)
            if probabilities is not None:
                probabilities[:, strip] = rows[..., first:].transpose(2, 0, 1)
            if overlay is not None:
                overlay[strip] = self._over(pixels[strip], mask[strip])
            top += len(rows)
        self.write_mask(mask * np.uint8(255) if self.num_classes == 2 else mask)
        if probabilities is not None:
            self.write_probability(probabilities[0] if first else probabilities)
        if overlay is not None:
            self.write_overlay(overlay)

    def _over(self, pixels, classes):
        picture = np.broadcast_to(pixels[..., ::-1], (*classes.shape, 3))     # red, green, blue
        mixed = (1 - OPACITY) * picture + OPACITY * self.palette[classes]
        return np.where(classes[..., None] > 0, mixed, picture).astype(np.uint8)


def _png(path):
    return lambda array: write_atomically(path, png_bytes(array))


def _tiff(path, pages, stack):
    """A function that writes one page after the other; ``stack`` closes the file, which then takes its name."""
    file = None

    def write(array):
        nonlocal file
        if file is None:
            temporary = stack.enter_context(replacing(path))
            file = stack.enter_context(tifffile.TiffWriter(temporary, bigtiff=pages * array.nbytes > TIFF_LIMIT))
        is_colour = array.dtype == np.uint8 and array.ndim == 3
        file.write(array, photometric="rgb" if is_colour else "minisblack", compression="zlib",
                   contiguous=False, metadata=None)    # without metadata readers see one stack, not many
    return write
