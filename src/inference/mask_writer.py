"""The files that prediction writes: masks and, if asked for, probabilities, overlays and a submission."""
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from itertools import chain, islice
from pathlib import Path

import cv2
import numpy as np
import tifffile

from src.data.image_reader import ImageFile
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import replacing, write_atomically
from src.report.drawing import palette

OPACITY = 0.4           # of the mask over the image
TIFF_LIMIT = 4e9        # bytes; a larger TIFF has to be a BigTIFF, which fewer programs read
STRIP = 64              # rows of a strip of a TIFF, and rows of an overlay that are mixed at a time


@dataclass(frozen=True)
class MaskOptions:
    """Which files are written, and where; the options' help says more."""
    output_path: str | Path
    num_classes: int = 2
    save_probability: bool = False
    isbi_submission: bool = False
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
        self.num_classes = options.num_classes
        self.palette = palette(options.color, options.num_classes)

    @contextmanager
    def open(self, image_file: ImageFile, pages: int) -> Iterator["PageWriter"]:
        """Yield the writer for the pages of an image file; TIFF files appear when all pages have been added.

        Raises:
            UNetError: a result would overwrite the image, or cannot be written.
        """
        with ExitStack() as stack:
            def file(folder, as_tiff=image_file.is_tiff, kind=_Tiff):
                if folder is None:
                    return None
                path = folder / f"{image_file.name}{'.tif' if as_tiff else '.png'}"
                if path.resolve() == image_file.path.resolve():
                    raise UNetError(f"{image_file.path}: the result would overwrite the image; choose another "
                                    f"output_path")
                return kind(path, pages, stack) if as_tiff else _Png(path)
            yield PageWriter(self, file(self.folder), file(self.probability_folder, as_tiff=True),
                             file(self.submission_folder, as_tiff=True, kind=_Slices), file(self.overlay_folder))


class PageWriter:
    """Writes the pages of one image file; see MaskWriter."""

    def __init__(self, writer, mask_file, probability_file, submission_file, overlay_file):
        self.num_classes, self.palette = writer.num_classes, writer.palette
        self.mask_file, self.overlay_file = mask_file, overlay_file
        self.probability_file, self.submission_file = probability_file, submission_file

    def add(self, pixels: np.ndarray, probability_rows: Iterable[np.ndarray]) -> None:
        """Add a page.

        Args:
            pixels: (H, W, C) uint8, gray or blue, green, red; overwritten if C is 3.
            probability_rows: the page's probabilities from top to bottom, (rows, W, classes) float32.
        """
        mask = np.empty(pixels.shape[:2], np.uint8)
        cells = np.empty(mask.shape, np.float32) if self.submission_file else None
        self._write_probability(_filling(mask, cells, probability_rows), mask.shape)
        if cells is not None:
            self.submission_file.write(np.clip(cells, 0, 1, out=cells))     # a rounded mean may lie outside
        if self.overlay_file:
            self.overlay_file.write(self._overlay(pixels, mask))
        if self.num_classes == 2:
            mask *= np.uint8(255)
        self.mask_file.write(mask)

    def _write_probability(self, probability_rows, size):
        if not self.probability_file:
            for _ in probability_rows:
                pass
        elif self.num_classes == 2:     # strip by strip, so that the page is never in memory as a whole
            self.probability_file.write_strips((rows[..., 1] for rows in probability_rows), size)
        else:
            whole, top = np.empty((self.num_classes, *size), np.float32), 0
            for rows in probability_rows:
                whole[:, top:top + len(rows)] = rows.transpose(2, 0, 1)
                top += len(rows)
            self.probability_file.write(whole)

    def _overlay(self, pixels, classes):
        """Return the image with its classes, (H, W, 3) uint8; a colour image is overwritten."""
        overlay = pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)
        colors = np.float32(OPACITY) * self.palette[:, ::-1]
        for top in range(0, len(overlay), STRIP):
            part, numbers = overlay[top:top + STRIP], classes[top:top + STRIP]
            mixed = np.float32(1 - OPACITY) * part + colors[numbers]
            np.copyto(part, mixed.astype(np.uint8), where=numbers[..., None] > 0)
        return overlay


def _filling(mask, cells, probability_rows):
    """Yield the rows as they are. Fill ``mask`` with their classes, and ``cells`` with the probabilities of class 1."""
    top = 0
    for rows in probability_rows:
        mask[top:top + len(rows)] = rows.argmax(axis=-1)
        if cells is not None:
            cells[top:top + len(rows)] = rows[..., 1]
        top += len(rows)
        yield rows


class _Png:
    """An image file of one page."""

    def __init__(self, path):
        self.path = path

    def write(self, array):
        """Write (H, W) gray or (H, W, 3) blue, green, red, uint8."""
        # OpenCV encodes the array in place; Pillow would need a copy in its own order of colours.
        write_atomically(self.path, cv2.imencode(".png", array)[1].data)


class _Tiff:
    """A file of many pages, which appears when ``stack`` closes it."""

    def __init__(self, path, pages, stack):
        self.path, self.pages, self.stack = path, pages, stack
        self.file = None

    def write(self, array):
        """Write (H, W) gray; (classes, H, W) float32, a page for each class; or (H, W, 3) blue, green, red, uint8."""
        is_colour = array.dtype == np.uint8 and array.ndim == 3
        self._add(array[..., ::-1] if is_colour else array, array.nbytes, photometric="rgb" if is_colour else None)

    def write_strips(self, parts, size):
        """Write a page of ``size`` that arrives as (rows, W) float32 from top to bottom."""
        self._add(_strips(parts), 4 * size[0] * size[1], shape=size, dtype=np.float32, rowsperstrip=STRIP)

    def _add(self, data, nbytes, photometric=None, **options):
        if self.file is None:
            temporary = self.stack.enter_context(replacing(self.path))
            self.file = self.stack.enter_context(
                tifffile.TiffWriter(temporary, bigtiff=self.pages * nbytes > TIFF_LIMIT))
        # With tifffile's metadata, readers would see a stack for each page.
        self.file.write(data, photometric=photometric or "minisblack", compression="zlib", contiguous=False,
                        metadata=None, **options)


class _Slices:
    """A stack of ImageJ: contiguous uncompressed slices, which every version of ImageJ reads.

    Args:
        path (Path): the file.
        pages (int): number of slices.
        stack (ExitStack): closes the file, which then appears.
    """

    def __init__(self, path, pages, stack):
        self.path, self.pages, self.stack = path, pages, stack
        self.file = self.size = None

    def write(self, array):
        """Write (H, W) float32, the next slice."""
        if self.file is None:
            if self.pages * array.nbytes > TIFF_LIMIT:
                raise UNetError(f"{self.path}: {self.pages} slices of {array.shape[1]}x{array.shape[0]} are more than "
                                f"a TIFF of ImageJ holds, 4 GB; leave out isbi_submission")
            self.file = self.stack.enter_context(
                tifffile.TiffWriter(self.stack.enter_context(replacing(self.path)), imagej=True))
            self.size = array.shape
        if array.shape != self.size:
            raise UNetError(f"{self.path}: a slice is {array.shape[1]}x{array.shape[0]}, the first one is "
                            f"{self.size[1]}x{self.size[0]}; a stack has one size")
        self.file.write(array[None], photometric="minisblack", contiguous=True, metadata={"slices": self.pages})


def _strips(parts):
    """Yield rows that arrive in parts of any height as compressed strips of STRIP rows; the last may have fewer."""
    rows = chain.from_iterable(parts)
    while strip := list(islice(rows, STRIP)):
        yield zlib.compress(np.stack(strip).tobytes())     # tifffile takes only whole pages as arrays
