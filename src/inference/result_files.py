"""The files of a prediction, written page by page."""
import json
import math
import zlib
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from src.data.file_structure import IMAGEJ, OME, SHAPED, FileStructure
from src.data.image_files import ImageFile
from src.model_utils.errors import UNetError
from src.model_utils.files import open_for_arrays, replacing

TIFF_LIMIT = 4e9        # bytes; a larger TIFF has to be a BigTIFF, which fewer programs read
STRIP = 64              # rows of a strip of a TIFF, and rows of an overlay that are mixed at a time
COMPRESSION = 1         # level of PNG files; takes a third of the time of the usual 6


def result_path(folder: Path, image_file: ImageFile, ending: str) -> Path:
    """Return the path of the result of an image file in a folder.

    Raises:
        UNetError: the result would overwrite the image.
    """
    path = folder / f"{image_file.name}{ending}"
    if path.resolve() == image_file.path.resolve():
        raise UNetError(f"{image_file.path}: the result would overwrite the image; choose another output_path")
    return path


class PngFile:
    """An image file of one page."""

    def __init__(self, path: Path, structure: FileStructure) -> None:
        self.path, self.resolution = path, structure.resolution

    def write(self, array: np.ndarray) -> None:
        """Write (H, W) gray or (H, W, 3) red, green, blue, uint8."""
        options: dict[str, Any] = {"compress_level": COMPRESSION}
        if self.resolution:
            options["dpi"] = self.resolution.across, self.resolution.down
        with replacing(self.path) as temporary:
            Image.fromarray(array).save(temporary, **options)


class TiffFile:
    """A file of many pages, which appears when ``stack`` closes it.

    It has the structure of the predicted file: the axes of its pages, its resolution and its place on the map.
    """

    def __init__(self, path: Path, structure: FileStructure, stack: ExitStack) -> None:
        self.path, self.structure, self.stack = path, structure, stack
        self.temporary = path       # replaced when the file is opened
        self.file: tifffile.TiffWriter | None = None

    def write(self, array: np.ndarray) -> None:
        """Write (H, W) gray, or (H, W, 3) red, green, blue, uint8."""
        is_colour = array.ndim == 3
        options = self._options(array.shape, "YXS" if is_colour else "YX", array.dtype)
        self._add(array, photometric="rgb" if is_colour else "minisblack", **options)

    def write_strips(self, parts: Iterable[np.ndarray], size: tuple[int, int], dtype: type = np.float32) -> None:
        """Write a page of ``size`` that arrives as (rows, W) of ``dtype`` from top to bottom."""
        self._add_strips(parts, size, dtype, **self._options(size, "YX", np.dtype(dtype)))

    def write_classes(self, parts: Iterable[np.ndarray], size: tuple[int, int], count: int) -> None:
        """Write a page for each of ``count`` classes of a page of ``size``; (rows, W, classes) float32 arrive.

        Until all rows have come, they wait in a file.
        """
        options = self._options((count, *size), "CYX", np.dtype(np.float32))
        path = self.temporary.with_name("classes")
        _write_planes(path, parts, size)
        with open(path, "rb") as file:
            for _ in range(count):
                tops = range(0, size[0], STRIP)
                self._add_strips((np.fromfile(file, np.float32, min(STRIP, size[0] - top) * size[1])
                                  .reshape(-1, size[1]) for top in tops), size, np.float32, **options)
                options = {}
        path.unlink()

    def _options(self, sides: tuple[int, ...], axes: str, kind: np.dtype) -> dict[str, Any]:
        """Return what the first page of the file says of all, which is opened for it; nothing for further pages.

        Args:
            sides, axes, kind: of the array that is a page.
        """
        if self.file is not None:
            return {}
        structure = self.structure
        self.temporary = self.stack.enter_context(replacing(self.path))
        pixels = math.prod(side for side, axis in zip(sides, axes) if axis in "YX")
        # Pages may have many sizes.
        nbytes = max(structure.pixels, structure.pages * pixels) * math.prod(sides) // pixels * kind.itemsize
        self.file = self.stack.enter_context(tifffile.TiffWriter(self.temporary, bigtiff=nbytes > TIFF_LIMIT))
        return {"description": _description(structure, sides, axes, kind), "extratags": _extra(structure.tags)}

    def _add_strips(self, parts: Iterable[np.ndarray], size: tuple[int, int], dtype: type, **options: Any) -> None:
        self._add(_strips(parts), photometric="minisblack", shape=size, dtype=dtype, rowsperstrip=STRIP, **options)

    def _add(self, data: Any, **options: Any) -> None:
        """Add a page of ``data``, an array or its compressed strips."""
        assert self.file
        resolution = self.structure.resolution
        if resolution:
            options |= {"resolution": (resolution.across, resolution.down), "resolutionunit": resolution.unit}
        # With tifffile's own metadata, readers would see a stack for each page.
        self.file.write(data, compression="zlib", contiguous=False, metadata=None, **options)


def _extra(tags):
    return [(*tag, True) for tag in tags]


def _description(structure: FileStructure, shape: tuple[int, ...], axes: str, dtype: np.dtype) -> bytes | None:
    """Return the metadata of all pages in the words of the program that wrote the predicted file; None for no program.

    Args:
        structure: of the predicted file.
        shape, axes: of a page.
        dtype: of its numbers.
    """
    whole, names = (*structure.lengths, *shape), structure.axes + axes
    try:
        if structure.program == IMAGEJ:
            text = tifffile.imagej_description(whole, axes=names, rgb="S" in axes, **structure.metadata)
        elif structure.program == OME:
            samples = shape[-1] if "S" in axes else 1
            height, width = (shape[axes.index(axis)] for axis in "YX")
            xml = tifffile.OmeXml()
            xml.addimage(dtype, whole, (math.prod(whole) // (height * width * samples), 1, 1, height, width, samples),
                         axes=names, **structure.metadata)
            text = xml.tostring()
        elif structure.program == SHAPED:
            text = json.dumps({"shape": whole, "axes": names})
        else:
            return None
    except (ValueError, tifffile.OmeXmlError):      # axes that these programs do not have; the pages stay
        return None
    return text.encode()


class Submission:
    """A stack of ImageJ: contiguous uncompressed slices, which every version of ImageJ reads.

    Args:
        path (Path): the file.
        structure (FileStructure): its number of pages counts.
        stack (ExitStack): closes the file, which then appears.
    """

    def __init__(self, path: Path, structure: FileStructure, stack: ExitStack) -> None:
        self.path, self.pages, self.stack = path, structure.pages, stack
        self.file = self.size = None

    def write(self, array):
        """Write (H, W) float32, the next slice."""
        if self.file is None:
            if self.pages * array.nbytes > TIFF_LIMIT:
                raise UNetError(f"{self.path}: {self.pages} slices of {array.shape[1]}x{array.shape[0]} are more than "
                                f"a TIFF of ImageJ holds, 4 GB; leave out isbi_submission")
            file = open_for_arrays(self.stack.enter_context(replacing(self.path)))
            self.file = self.stack.enter_context(tifffile.TiffWriter(self.stack.enter_context(file), imagej=True))
            self.size = array.shape
        if array.shape != self.size:
            raise UNetError(f"{self.path}: a slice is {array.shape[1]}x{array.shape[0]}, the first one is "
                            f"{self.size[1]}x{self.size[0]}; a stack has one size")
        self.file.write(array[None], photometric="minisblack", contiguous=True, metadata={"slices": self.pages})


def _write_planes(path: Path, parts: Iterable[np.ndarray], size: tuple[int, int]) -> None:
    """Write (rows, W, classes) that arrive from top to bottom as (classes, H, W)."""
    top, (height, width) = 0, size
    with open_for_arrays(path) as file:
        for rows in parts:
            for start in range(0, len(rows), STRIP):
                planes = np.ascontiguousarray(np.moveaxis(rows[start:start + STRIP], -1, 0))
                for number, plane in enumerate(planes):
                    file.seek(plane.itemsize * (number * height + top) * width)
                    file.write(plane)
                top += planes.shape[1]


def _strips(parts):
    """Yield rows that arrive in parts of any height as compressed strips of STRIP rows; the last may have fewer."""
    rows = chain.from_iterable(parts)
    while strip := list(islice(rows, STRIP)):
        yield zlib.compress(np.stack(strip).tobytes())     # tifffile takes only whole pages as arrays
