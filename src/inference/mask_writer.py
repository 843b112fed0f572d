"""The files that prediction writes: masks and, if asked for, probabilities, overlays and a submission."""
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from src.data.file_structure import FileStructure
from src.data.image_files import ImageFile
from src.evaluation.evaluate import check_finite
from src.evaluation.membranes import contours
from src.inference.object_bands import ObjectBands
from src.inference.result_files import STRIP, PngFile, Submission, TiffFile, result_path
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.report.drawing import palette
from src.report.object_pictures import outlines

logger = logging.getLogger("unet")

OPACITY = 0.4           # of the mask over the image


@dataclass(frozen=True)
class MaskOptions:
    """Which files are written, and where; the options' help says more."""
    output_path: str | Path
    num_classes: int = 2
    save_probability: bool = False
    isbi_submission: bool = False
    close_membranes: bool = False
    overlay: bool = False
    color: list[list[int]] = field(default_factory=list)

    @classmethod
    def from_config(cls, config: Config) -> "MaskOptions":
        """Take the options of these names."""
        return cls(**{option.name: getattr(config, option.name) for option in fields(cls)})


class MaskWriter:
    """Writes the masks, ``predictions/NAME.png``: class numbers, or 0 and 255 for two classes.

    The mask of a TIFF file is ``NAME.tif``, with as many pages. ``probabilities/NAME.tif`` is float32: (H, W) of class
    1 for two classes, else (classes, H, W), page after page. ``overlays/NAME.png`` (or ``.tif``) shows all classes
    except 0 over the image. ``submission/NAME.tif`` is a stack as the ISBI 2012 board took it: the probability of
    class 1, the cells, as uncompressed 32-bit slices of ImageJ.

    Args:
        options: what to write, and where.

    Attributes:
        folders: those that files are written into.

    Raises:
        UNetError: a submission of other than two classes.
    """

    def __init__(self, options: MaskOptions):
        output = Path(options.output_path)
        self.folder = output / "predictions"
        self.probability_folder = output / "probabilities" if options.save_probability else None
        self.submission_folder = output / "submission" if options.isbi_submission else None
        if self.submission_folder and options.num_classes != 2:
            raise UNetError(f"isbi_submission writes the probability of cells against membranes, but num_classes is "
                            f"{options.num_classes}; expected 2")
        self.overlay_folder = output / "overlays" if options.overlay else None
        folders = (self.folder, self.probability_folder, self.submission_folder, self.overlay_folder)
        self.folders = [folder for folder in folders if folder]
        self.num_classes = options.num_classes
        self.contours = contours(options.close_membranes)
        self.palette = palette(options.color, options.num_classes)

    @contextmanager
    def open(self, image_file: ImageFile, structure: FileStructure) -> Iterator["PageWriter"]:
        """Yield the writer for the pages of an image file; TIFF files appear when all pages have been added.

        Raises:
            UNetError: a result would overwrite the image, or cannot be written.
        """
        with ExitStack() as stack:
            def file(folder, as_tiff=structure.is_tiff, kind=TiffFile):
                if folder is None:
                    return None
                path = result_path(folder, image_file, ".tif" if as_tiff else ".png")
                return kind(path, structure, stack) if as_tiff else PngFile(path, structure)
            writer = PageWriter(self, file(self.folder), file(self.probability_folder, as_tiff=True),
                                file(self.submission_folder, as_tiff=True, kind=Submission), file(self.overlay_folder))
            yield writer
        writer.warn_of_one_class(image_file.path)


class AddedPage(NamedTuple):
    """A page that was written: the number of pixels of each class, and (H, W, 3) uint8 of its overlay, or None."""
    pixels: np.ndarray
    overlay: np.ndarray | None


class PageWriter:
    """Writes the pages of one image file; see MaskWriter.

    Attributes:
        paths: of the files that are written.
    """

    def __init__(self, writer, mask_file, probability_file, submission_file, overlay_file):
        self.paths = [file.path for file in (mask_file, probability_file, submission_file, overlay_file) if file]
        self.num_classes, self.palette, self.contours = writer.num_classes, writer.palette, writer.contours
        self.mask_file, self.overlay_file = mask_file, overlay_file
        self.probability_file, self.submission_file = probability_file, submission_file
        self.pixels = np.zeros(self.num_classes, np.int64)              # of each class
        self.probability = np.zeros(self.num_classes, np.float64)       # of each class, summed over all pixels

    def add(self, size: tuple[int, int], probability_rows: Iterable[np.ndarray],
            pictures: Callable[[], Iterator[np.ndarray]], objects: ObjectBands | None = None,
            wants_overlay: bool = False) -> AddedPage:
        """Add a page.

        Args:
            size: (H, W) of the page.
            probability_rows: the page's probabilities from top to bottom, (rows, W, classes) float32.
            pictures: yields the page itself from top to bottom, (rows, W, 3) uint8 red, green, blue.
            objects: has seen the probabilities; the overlay shows the outlines of the objects. None shows none.
            wants_overlay: return an overlay, even if none is written.
        """
        mask = np.empty(size, np.uint8)
        cells = np.empty(mask.shape, np.float32) if self.submission_file else None
        self._write_probability(_filling(mask, cells, self._counted(probability_rows)), mask.shape)
        # NumPy would count in eight times the memory of the mask.
        pixels = np.array(Image.fromarray(mask).histogram())[:self.num_classes]
        self.pixels += pixels
        if cells is not None:
            np.clip(cells, 0, 1, out=cells)     # a rounded mean may lie outside
            self.submission_file.write(self.contours(cells))
        overlay = None
        if self.overlay_file or wants_overlay:
            overlay = self._overlay(pictures(), mask, objects.objects if objects else None)
        if self.overlay_file:
            self.overlay_file.write(overlay)
        if self.num_classes == 2:
            mask *= np.uint8(255)
        self.mask_file.write(mask)
        return AddedPage(pixels, overlay)

    def _counted(self, probability_rows):
        for rows in probability_rows:
            # By products, since NumPy sums over few classes slowly.
            self.probability += (np.ones(rows.shape[1], np.float32) @ rows).sum(axis=0, dtype=np.float64)
            check_finite(self.probability)
            yield rows

    def warn_of_one_class(self, path: Path) -> None:
        """Log a warning if all pixels of all pages of the file ``path`` are of one class."""
        count, predicted = self.pixels.sum(), int(self.pixels.argmax())
        if self.pixels[predicted] == count and self.num_classes > 1:
            others = np.where(np.arange(self.num_classes) == predicted, -1, self.probability)
            logger.warning("WARNING: %s: all pixels are predicted as class %d; the most likely other class is %d, with "
                           "a mean probability of %.2g %%", path, predicted, others.argmax(),
                           100 * others.max() / count)

    def _write_probability(self, probability_rows, size):
        if not self.probability_file:
            for _ in probability_rows:
                pass
        elif self.num_classes == 2:     # strip by strip, so that the page is never in memory as a whole
            self.probability_file.write_strips((rows[..., 1] for rows in probability_rows), size)
        else:
            self.probability_file.write_classes(probability_rows, size, self.num_classes)

    def _overlay(self, pictures, classes, objects):
        """Return the image with its classes and the outlines of its objects, (H, W, 3) uint8."""
        overlay, top = np.empty((*classes.shape, 3), np.uint8), 0
        colors = np.float32(OPACITY) * self.palette
        for picture in pictures:
            for start in range(0, len(picture), STRIP):
                rows = slice(top + start, top + min(start + STRIP, len(picture)))
                part, numbers = picture[start:start + STRIP], classes[rows]
                mixed = np.float32(1 - OPACITY) * part + colors[numbers]
                overlay[rows] = np.where(numbers[..., None] > 0, mixed.astype(np.uint8), part)
                if objects:
                    self._draw_outlines(overlay[rows], objects, rows)
            top += len(picture)
        return overlay

    def _draw_outlines(self, overlay, objects, rows):
        """Draw the outlines of objects into rows of an overlay, in the colours of their classes."""
        top, bottom = max(0, rows.start - 1), min(objects.size[0], rows.stop + 1)
        labels = objects.labels(top, bottom)
        edge = outlines(labels)[rows.start - top:][:len(overlay)]
        classes = np.concatenate([[0], objects.classes])[labels[rows.start - top:][:len(overlay)]]
        overlay[edge] = self.palette[classes[edge]]


def _filling(mask, cells, probability_rows):
    """Yield the rows as they are. Fill ``mask`` with their classes, and ``cells`` with the probabilities of class 1."""
    top = 0
    for rows in probability_rows:
        # NumPy finds the larger of two numbers slowly by argmax.
        mask[top:top + len(rows)] = (rows[..., 1] > rows[..., 0] if rows.shape[-1] == 2 else rows.argmax(axis=-1))
        if cells is not None:
            cells[top:top + len(rows)] = rows[..., 1]
        top += len(rows)
        yield rows
