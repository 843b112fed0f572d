"""Prediction of whole image files: all results of a file, and its record."""
import logging
from contextlib import nullcontext

import numpy as np

from src.data.data_options import class_names
from src.data.image_files import ImageFile
from src.data.image_reader import open_pages
from src.evaluation.evaluate import BadPrediction
from src.evaluation.objects import without_rim
from src.inference.loading import load_network
from src.inference.mask_writer import AddedPage, MaskOptions, MaskWriter
from src.inference.object_bands import PageObjects
from src.inference.object_files import TABLE, ObjectFileOptions, ObjectWriter
from src.inference.page_image import PageImage
from src.inference.page_predictor import PagePredictor
from src.inference.records import REPORT, Records, identity, made_with
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.report.prediction import Picture, PredictedPage

logger = logging.getLogger("unet")


class FilePredictor:
    """Predicts image files with the network that the options name, and writes what they ask for.

    Args:
        config: see ``predict``.

    Attributes:
        config: the options, with those that are stored with the network.
        records: of the output folder.
        names: of the classes.
        columns: of objects.csv; none if objects are not asked for.

    Raises:
        UNetError: the network cannot be loaded, or the options do not fit it.
    """

    def __init__(self, config: Config):
        self.predictor = PagePredictor(load_network(config))
        self.config = config = self.predictor.config
        self.names = class_names(config, self.predictor.network.names)
        self.writer = MaskWriter(MaskOptions.from_config(config))
        logger.info("normalize: %s, %s", self.predictor.normalization, "as the network was trained"
                    if "normalize" in self.predictor.network.stored else
                    "by the options: the network's file does not say how it was trained")
        self.objects: ObjectWriter | None = None
        if config.objects:
            self.objects = ObjectWriter(ObjectFileOptions.from_config(config, self.names),
                                        self.predictor.channels.count)
        self.columns = self.objects.columns if self.objects else []
        self.folders = [*self.writer.folders, *([self.objects.folder] if self.objects else [])]
        kinds = [folder.name for folder in self.folders] + [REPORT] * config.report
        self.records = Records(config.output_path, made_with(self.predictor, config), kinds)

    def predict(self, file: ImageFile, most_pictures: int) -> int:
        """Predict all pages of a file; return their number.

        Args:
            file: the image file.
            most_pictures: pages that the report shows.

        Raises:
            UNetError: the file cannot be read, or a result cannot be written.
        """
        image = identity(file)
        pages: list[PredictedPage] = []
        with (open_pages(file.path) as read,
              self.objects.open(file, read.structure) if self.objects else nullcontext() as objects,
              self.writer.open(file, read.structure) as output):
            for number, page in enumerate(read, 1):
                title = f"{file.title}, page {number} of {len(read)}" if len(read) > 1 else file.title
                picture = PageImage(page, self.predictor.channels, self.predictor.normalization)
                rows, found = self.predictor.rows(picture, title), None
                if objects:
                    found = objects.page(picture.shape[:2])
                    rows = found.watch(rows)
                elif self.predictor.config.has_rim:
                    rows = map(without_rim, rows)
                try:
                    added = output.add(picture.shape[:2], rows, picture.pictures, found, len(pages) < most_pictures)
                except BadPrediction as error:
                    raise UNetError(f"{file.path}{f', page {number}' * (len(read) > 1)}: {error}") from None
                if objects and found:
                    objects.add(found.objects, picture)
                pages.append(_reported(title, picture, added, found.objects if found else None,
                                       len(pages) < most_pictures))
        paths, lines = (output.paths, []) if objects is None else ([*output.paths, objects.path], objects.rows)
        self.records.add(file, image, paths, pages, lines)
        return len(pages)

    def say_where(self) -> None:
        """Log where the results are."""
        if self.objects:
            logger.info("objects: %s, and the table %s", self.objects.folder, self.objects.folder.parent / TABLE)
        logger.info("masks: %s", self.writer.folder)
        if self.writer.submission_folder:
            logger.info("submission, 0 for membrane to 1 for cell: %s", self.writer.submission_folder)


def _reported(title: str, image: PageImage, added: AddedPage, objects: PageObjects | None,
              with_picture: bool) -> PredictedPage:
    """Return what the report says of a page."""
    height, width = image.shape[:2]
    found = None
    if objects is not None:
        areas = {int(number): objects.areas[objects.classes == number] for number in np.unique(objects.classes)}
        found = [(number, len(of_class), float(np.median(of_class))) for number, of_class in areas.items()]
    picture = None if added.overlay is None or not with_picture else Picture.of(added.overlay)
    return PredictedPage(title, height, width, (added.pixels / (height * width)).tolist(), found, picture)
