"""Reads some images and masks of a data set, and says what they are."""
import logging
import time
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from src.data.boundary import objects_of
from src.data.class_values import OTHER, parse
from src.data.dataset_check import LISTS_ALL, raise_faults
from src.data.layouts import Source
from src.data.mask_pixels import MaskPixels
from src.data.page import Page, Window
from src.data.reader import StoredReader
from src.model_utils.errors import UNetError
from src.planning.facts import DataFacts, Objects
from src.planning.masks import Classes, decide

logger = logging.getLogger("unet")

MOST_IMAGES = 64        # whose masks tell what masks hold
MEASURED = 24           # images whose objects are measured
SECONDS = 20            # after which no further image is measured
MOST_SIDE = 2048        # of the part in the middle of an image that is measured
WHOLE = 32 * 10**6      # pixels of the largest mask that is read whole
WHOLE_SIDE = int(WHOLE ** 0.5)
BRIGHT = 99.0           # percentile
SMALLEST_OBJECT = 3     # pixels; smaller regions are specks


def spread(count: int, most: int) -> list[int]:
    """Return at most ``most`` of the numbers 0 to ``count`` - 1, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist() if count else []


def find_classes(source: Source) -> Classes:
    """Find what the masks of a data set hold.

    Raises:
        UNetError: the data set cannot be read, or its masks cannot be understood.
    """
    # Any mask can be read as black and others, also those whose palettes differ.
    masks = replace(source.masks, num_classes=2, values=parse(["#000000", OTHER], 2))
    reader = replace(source, masks=masks).open()
    found: list[MaskPixels] = []
    faults: list[str] = []
    pixels = 0
    for index in spread(len(reader), MOST_IMAGES):
        try:
            mask = reader.mask_pixels(index, _window(reader.size(index), WHOLE_SIDE) if _is_large(reader, index)
                                      else None)
        except UNetError as error:
            faults.append(str(error))
            continue
        found.append(mask)
        pixels += mask.numbers.size
        if pixels > WHOLE:
            break
    raise_faults(faults, LISTS_ALL)
    return decide(found, source.masks.ignore)


def inspect(source: Source, classes: Classes) -> DataFacts:
    """Say what a data set is.

    Args:
        source: the data set, with what ``classes`` says about masks.
        classes: what the masks hold.

    Raises:
        UNetError: the data set cannot be read.
    """
    reader = source.open()
    train, valid = source.divide(reader)
    images, measured = _Images(), _Masks(source.masks.num_classes)
    faults: list[str] = []
    began = time.monotonic()
    numbers = spread(len(reader), MOST_IMAGES)
    to_measure = {numbers[place] for place in spread(len(numbers), MEASURED)}
    for index in numbers:
        try:
            with reader.open_image(index) as page:
                images.add(page)
            if index in to_measure and time.monotonic() - began < SECONDS:
                measured.add(reader, index)
        except UNetError as error:
            faults.append(str(error))
    raise_faults(faults, LISTS_ALL)
    channels, because = images.channels()
    return DataFacts(source.dataset, len(train), len(valid), len(numbers), images.sizes, channels, because, images.deep,
                     images.contrast(), classes, measured.shares(), measured.has_objects, measured.objects(),
                     measured.gap())


def _is_large(reader: StoredReader, index: int) -> bool:
    height, width = reader.size(index)
    return height * width > WHOLE


def _window(size: tuple[int, int], most: int = MOST_SIDE) -> Window:
    """Return the middle of an image, of at most so many rows and columns."""
    tops = [max(0, (side - most) // 2) for side in size]
    return slice(tops[0], min(size[0], tops[0] + most)), slice(tops[1], min(size[1], tops[1] + most))


@dataclass
class _Images:
    """What image files are."""
    sizes: list[tuple[int, int]] = field(default_factory=list)
    bands: Counter[tuple[int, bool]] = field(default_factory=Counter)
    bright: list[float] = field(default_factory=list)
    deep: int = 0
    coloured: int = 0       # colour images that are not gray in all pixels

    def add(self, page: Page) -> None:
        """Take in a page."""
        self.sizes.append((page.height, page.width))
        self.bands[page.bands, page.is_colour] += 1
        self.deep += not page.is_8_bit
        rows, columns = _window((page.height, page.width), MOST_SIDE // 2)
        pixels = page.as_shown(page.stored(rows.start, rows.stop, columns.start, columns.stop))
        if page.is_colour:
            self.coloured += bool((pixels[..., :3] != pixels[..., :1]).any())
        finite = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
        if finite.size:
            low, high = np.percentile(finite, [100 - BRIGHT, BRIGHT])
            self.bright.append(float(high - low))

    def channels(self) -> tuple[int, str]:
        """Return the number of channels to take, and why; 0 if the files have different ones."""
        counts = {bands for bands, _ in self.bands}
        named = {(1, False): "gray", (3, True): "red, green and blue"}
        found = ", ".join(f"{count} of {named.get(kind, f'{kind[0]} bands')}" for kind, count in
                          self.bands.most_common())
        if all(bands == 1 or is_colour and bands == 3 for bands, is_colour in self.bands):
            if counts == {1}:
                return 1, "all images are gray"
            return (3, f"images: {found}") if self.coloured else (1, f"images: {found}, which show only grays")
        return (next(iter(counts)), f"images: {found}") if len(counts) == 1 else (0, f"images: {found}")

    def contrast(self) -> float:
        """Return the largest over the smallest range of numbers."""
        spans = [span for span in self.bright if span > 0]
        return max(spans) / min(spans) if spans else 1.0


class _Masks:
    """What masks show."""

    def __init__(self, num_classes: int) -> None:
        self.pixels = np.zeros(num_classes, np.int64)
        self.areas: list[np.ndarray] = []
        self.touching, self.images = 0, 0
        self.distances: list[np.ndarray] = []
        self.has_objects = False

    def add(self, reader: StoredReader, index: int) -> None:
        """Measure the mask of an image."""
        from scipy.ndimage import distance_transform_edt  # takes a moment to load

        window = _window(reader.size(index))
        classes = reader.classes_in(index, window)
        self.pixels += np.bincount(classes.ravel(), minlength=256)[:len(self.pixels)]
        numbers = None if _is_large(reader, index) else reader.instances(index)
        self.has_objects |= numbers is not None
        objects = objects_of(classes, None if numbers is None else numbers[window])
        areas = np.bincount(objects.ravel())[1:]
        self.areas.append(areas[areas >= SMALLEST_OBJECT])
        if numbers is not None:
            self.touching += _touching(objects)
        self.images += 1
        if 0 < np.count_nonzero(classes) < classes.size:
            distances = distance_transform_edt(classes == 0)
            self.distances.append(np.percentile(distances[classes == 0], [95]))

    def shares(self) -> list[float]:
        """Return the share of the pixels of each class."""
        return (self.pixels / max(1, self.pixels.sum())).tolist()

    def gap(self) -> float:
        """Return twice the median over the images of the distance that 95 % of the background are within."""
        return 2 * float(np.median(self.distances)) if self.distances else 0.0

    def objects(self) -> Objects:
        """Return the sizes of all objects."""
        areas = np.sort(np.concatenate(self.areas)) if self.areas else np.zeros(0)
        if not areas.size:
            return Objects()
        diameters = np.sqrt(4 / np.pi * areas)
        small, middle, large = np.percentile(diameters, [10, 50, 90]).tolist()
        typical = diameters[np.searchsorted(np.cumsum(areas), areas.sum() / 2)]
        return Objects(len(areas), len(areas) / self.images, small, middle, large, float(typical),
                       self.touching / len(areas))


def _touching(objects: np.ndarray) -> int:
    """Count the objects with a pixel beside, above or below one of another object."""
    found: set[int] = set()
    for first, second in ((objects[1:], objects[:-1]), (objects[:, 1:], objects[:, :-1])):
        touch = (first != second) & (first > 0) & (second > 0)
        found.update(np.unique(first[touch]).tolist(), np.unique(second[touch]).tolist())
    return len(found)
