"""The files of the objects in a prediction: a label image for each image file, and a table of all."""
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np

from src.data.file_structure import FileStructure
from src.data.image_files import ImageFile
from src.evaluation.objects import ObjectOptions
from src.inference.object_bands import ObjectBands, PageObjects
from src.inference.object_table import columns, lines, measure
from src.inference.page_image import PageImage
from src.inference.result_files import STRIP, TiffFile, result_path
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import make_folder, writing

logger = logging.getLogger("unet")

OBJECTS, TABLE = "objects", "objects.csv"
SQUARE_MICROMETRES = "um2"
MOST_OF_16_BITS = 65535


@dataclass(frozen=True)
class ObjectFileOptions:
    """Which objects are written, and where; the options' help says more."""
    output_path: str | Path
    options: ObjectOptions = field(default_factory=ObjectOptions)
    size_unit: str = "px"
    has_rim: bool = False
    class_names: tuple[str, ...] = ()

    @classmethod
    def from_config(cls, config: Config, class_names: list[str]) -> "ObjectFileOptions":
        """Take the options of objects."""
        return cls(config.output_path, ObjectOptions.from_config(config), config.object_size_unit, config.has_rim,
                   tuple(class_names))


class ObjectWriter:
    """Writes ``objects/NAME.tif`` of each image file, and makes the rows of ``objects.csv``.

    A label image holds the numbers of the objects, from 1 on in each page, 0 for the background; it has 16 bits, or 32
    if a page has more than 65,535 objects.

    Args:
        options: what to write, and where.
        channels: number of channels of the images.

    Attributes:
        folder: of the label images.
        columns: of the table.
    """

    def __init__(self, options: ObjectFileOptions, channels: int):
        self.options, self.columns = options, columns(channels)
        self.folder = Path(options.output_path) / OBJECTS

    @contextmanager
    def open(self, image_file: ImageFile, structure: FileStructure) -> Iterator["FileObjects"]:
        """Yield what takes the pages of an image file; its files are written when all pages have been added.

        Raises:
            UNetError: object_size_unit is um2 and the file does not say its resolution; or a result would overwrite
                the image, or cannot be written.
        """
        with writing(self.folder):
            make_folder(self.folder)
            file = tempfile.TemporaryFile(dir=self.folder)      # noqa: SIM115    closed below
        with file as numbers:
            objects = FileObjects(self, image_file, structure, numbers)
            yield objects
            objects.write()
        objects.log()


class FileObjects:
    """The objects of one image file; see ObjectWriter.

    Attributes:
        path: of the label image.
        rows: lines of the table.
    """

    def __init__(self, writer: ObjectWriter, image_file: ImageFile, structure: FileStructure, numbers: IO[bytes]):
        self.path = result_path(writer.folder, image_file, ".tif")
        self.writer, self.image_file, self.structure, self.numbers = writer, image_file, structure, numbers
        self.options = writer.options
        self.pixel = structure.micrometres
        self.pages: list[PageObjects] = []
        self.rows: list[str] = []
        found = writer.options.options
        if writer.options.size_unit == SQUARE_MICROMETRES and found.min_size:
            if self.pixel is None:
                raise UNetError(f"{image_file.path} does not say how large its pixels are, and object_size_unit is "
                                f"um2; give object_min_size in pixels (object_size_unit px), or save the image with a "
                                f"resolution in micrometres or centimetres")
            found = replace(found, min_size=found.min_size / (self.pixel[0] * self.pixel[1]))
        self.found = found

    def page(self, size: tuple[int, int]) -> ObjectBands:
        """Return what finds the objects of the next page of (H, W) pixels."""
        return ObjectBands(size, self.found, self.options.has_rim, self.numbers)

    def add(self, objects: PageObjects, image: PageImage) -> None:
        """Measure the objects of a page."""
        self.pages.append(objects)
        table = measure(objects, image, self.pixel)
        self.rows += lines(self.image_file.title, len(self.pages), table, self.writer.columns)

    def write(self) -> None:
        """Write the label image."""
        most = max(len(page.areas) for page in self.pages)
        kind: type = np.uint16 if most <= MOST_OF_16_BITS else np.uint32
        with ExitStack() as stack:
            file = TiffFile(self.path, self.structure, stack)
            for page in self.pages:
                height = page.size[0]
                file.write_strips((page.labels(top, min(height, top + STRIP)).astype(kind)
                                   for top in range(0, height, STRIP)), page.size, kind)

    def log(self) -> None:
        """Log the number of objects, or warn if there is none."""
        areas = np.concatenate([page.areas for page in self.pages])
        name = self.image_file.title
        if not len(areas):
            logger.warning("WARNING: %s: no object; lower object_threshold, object_min_size or object_min_probability, "
                           "or look at the probabilities (--save_probability=True)", name)
            return
        of_class = Counter(np.concatenate([page.classes for page in self.pages]).tolist())
        each = ", ".join(f"{self.options.class_names[number]} {count}" for number, count in sorted(of_class.items()))
        pages = f" on {len(self.pages)} pages" if len(self.pages) > 1 else ""
        logger.info("%s: %d objects%s%s, median area %g pixels", name, len(areas), pages,
                    f" ({each})" if len(self.options.class_names) > 2 else "", np.median(areas))
