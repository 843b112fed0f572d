"""dataset.jpg: some images of a data set as the network gets them, and beside each one its classes over it."""
import logging
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from src.data.samples import TrainingSamples, ValidationSamples
from src.data.window_reader import LARGE
from src.model_utils.errors import UNetError
from src.model_utils.files import write_atomically
from src.report.drawing import class_colours
from src.report.gallery import jpeg_bytes

logger = logging.getLogger("unet")

MOST = {"training": 8, "validation": 4}     # images of each part
COLUMNS = 4
SIDE = 160          # pixels of a tile's longest side
GAP, TEXT = 4, 14   # pixels between tiles, and of the line with the name
OPACITY = 0.5       # of the classes over the image
BACKGROUND = 240


def write_pictures(path: Path, train: TrainingSamples, validation: ValidationSamples,
                   colors: list[list[int]]) -> None:
    """Write images of both parts, evenly spread, into one JPEG file.

    Images that cannot be read, or are too large to be in memory as a whole, are left out.

    Args:
        path (Path): the file.
        train (TrainingSamples), validation (ValidationSamples): the samples.
        colors (list): red, green and blue of the first classes.

    Raises:
        UNetError: the file cannot be written.
    """
    colours = class_colours(colors, validation.num_classes)
    tiles = [_with_name(pair, f"{part}: {name}") for part, samples in (("training", train.as_validation()),
                                                                       ("validation", validation))
             for pair, name in _pairs(samples, MOST[part], colours)]
    if tiles:
        write_atomically(path, jpeg_bytes(_sheet(tiles)))
        logger.info("pictures of the data set: %s", path)


def _pairs(samples: ValidationSamples, most: int, colours: np.ndarray) -> list[tuple[np.ndarray, str]]:
    """Return some samples: (an image and beside it the image with its classes, (h, w, 3) uint8; the name)."""
    pairs = []
    for index in np.unique(np.linspace(0, len(samples) - 1, min(most, len(samples))).round().astype(int)).tolist():
        try:
            height, width = samples.reader.size(samples.indices[index])
            if height * width > LARGE:
                continue
            _, classes = samples[index]
            image = samples.pixels(index, classes.shape)
        except UNetError:       # the check has named it
            continue
        coloured = cv2.addWeighted(image, 1 - OPACITY, colours[classes], OPACITY, 0)
        over = np.where((classes > 0)[..., None], coloured, image)
        between = np.full((SIDE, GAP // 2, 3), BACKGROUND, np.uint8)
        pairs.append((np.concatenate([_tile(image), between, _tile(over)], axis=1), samples.name(index)))
    return pairs


def _tile(pixels: np.ndarray) -> np.ndarray:
    """Resize an image to fit a square of SIDE pixels, and put it in its middle."""
    height, width = pixels.shape[:2]
    factor = SIDE / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)
    tile = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    tile[top:top + size[1], left:left + size[0]] = small
    return tile


def _with_name(pair: np.ndarray, name: str) -> np.ndarray:
    line = Image.new("RGB", (pair.shape[1], TEXT), (BACKGROUND,) * 3)
    ImageDraw.Draw(line).text((2, 0), name, fill=(0, 0, 0), font=ImageFont.load_default())
    return np.concatenate([pair, np.asarray(line)])


def _sheet(tiles: list[np.ndarray]) -> np.ndarray:
    height, width = tiles[0].shape[0] + GAP, tiles[0].shape[1] + GAP
    rows = -(-len(tiles) // COLUMNS)
    sheet = np.full((rows * height, min(COLUMNS, len(tiles)) * width, 3), BACKGROUND, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // COLUMNS * height, number % COLUMNS * width
        sheet[top:top + tile.shape[0], left:left + tile.shape[1]] = tile
    return sheet
