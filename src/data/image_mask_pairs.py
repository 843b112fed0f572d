"""Images and their masks, each in a file of its own."""
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.data.channels import Channels, StoredImage
from src.data.class_values import IGNORED, count_values
from src.data.image_reader import open_pages, read_image
from src.data.mask_classes import MaskClasses, Meaning
from src.data.mask_pixels import MaskOptions, MaskPixels, read_mask
from src.data.notices import say_once
from src.data.object_numbers import as_object_numbers
from src.data.page import Page, Window
from src.model_utils.errors import UNetError

MOST_WITHOUT = 0.01     # share of the foreground that may be of no object


def _has_parts(numbers: np.ndarray) -> bool:
    """Return whether the pixels of an object are not connected."""
    from skimage.measure import label  # takes a moment to load

    return bool(label(numbers, connectivity=2).max(initial=0) > len(np.setdiff1d(numbers, 0)))

@dataclass(frozen=True)
class Pair:
    """An image, its mask, and the name under which both are reported.

    Attributes:
        name: the name; NAME[page] for a page of files with several.
        image, mask: the files.
        page: number of the page in both files, from 0; None if they have one.
        labels: file of the numbers of the objects, or None.
    """
    name: str
    image: Path
    mask: Path
    page: int | None = None
    labels: Path | None = None

    def path_below(self, root: str | Path) -> str:
        """Return the image's path, and its page, below the data set's folder, which is unique in the data set."""
        return self.image.relative_to(root).as_posix() + ("" if self.page is None else f"[{self.page}]")


class PairReader:
    """Reader of images and masks in files.

    ``reader[i]`` is (StoredImage, classes); the classes are (H, W) uint8 class numbers.

    Args:
        pairs (Sequence[Pair]): the files.
        channels (Channels): channels of the images.
        masks (MaskOptions): what the options say about masks.

    Raises:
        UNetError: masks that cannot be understood without further options.
    """

    def __init__(self, pairs: Sequence[Pair], channels: Channels, masks: MaskOptions):
        self.pairs = pairs
        self.channels = channels
        self.invert = masks.invert
        self.masks = MaskClasses(self.mask_pixels, len(pairs), masks)
        self._meanings: dict[int, Meaning] = {}     # of the masks that are read in windows
        self._agreeing: set[int] = set()            # whose numbers of objects are known to fit

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_meanings": {}, "_agreeing": set()}

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[StoredImage, np.ndarray]:
        pair = self.pairs[index]
        image, classes = self.image(index), self.mask_classes(index)
        _check_one_size(pair, image.pixels.shape, classes.shape)
        return image, classes

    def mask_classes(self, index: int) -> np.ndarray:
        """Return the (H, W) uint8 class numbers of a mask."""
        return self.masks.classes(self.mask_pixels(index))

    def mask_files(self, index: int) -> list[Path]:
        """Return the file of a mask, and that of the numbers of its objects if there is one."""
        pair = self.pairs[index]
        return [pair.mask, *([pair.labels] if pair.labels else [])]

    def mask_pixels(self, index: int, window: Window | None = None) -> MaskPixels:
        """Return a mask, or a part of it, as its file holds it."""
        pair = self.pairs[index]
        return read_mask(pair.mask, pair.page or 0, self.invert, window)

    @contextmanager
    def open_image(self, index: int) -> Iterator[Page]:
        """Yield the page of an image, which can be read while its file is open."""
        with open_pages(self.pairs[index].image) as pages:
            yield pages[self.pairs[index].page or 0]

    def classes_in(self, index: int, window: Window) -> np.ndarray:
        """Return the classes of a part of a mask, of which only that part is read where its format allows it."""
        if index not in self._meanings:
            self._meanings[index] = self._meaning(index)
        return self.masks.classes(self.mask_pixels(index, window), self._meanings[index])

    def class_bands(self, index: int) -> Iterator[np.ndarray]:
        """Yield the classes of a mask from top to bottom, some rows at a time."""
        for window in self._strips(index):
            yield self.classes_in(index, window)

    def _strips(self, index: int) -> list[Window]:
        pair = self.pairs[index]
        with open_pages(pair.mask) as pages:
            page = pages[pair.page or 0]
            _check_one_size(pair, self.size(index), (page.height, page.width))
            return list(page.strips())

    def _meaning(self, index: int) -> Meaning:
        """Find how a mask is read by the numbers in all of its parts."""
        values: set[int] = set()
        for window in self._strips(index):
            mask = self.mask_pixels(index, window)
            values.update(count_values(mask.numbers))
        numbers = replace(mask, numbers=np.array(sorted(values), mask.numbers.dtype)[None])
        meaning = self.masks.meaning(numbers)
        if meaning is None or meaning.is_cut and not mask.is_lossy:
            # The error, or gray edges, for which the whole mask is needed.
            self.masks.classes(self.mask_pixels(index))
            meaning = self.masks.meaning(numbers)
        assert meaning is not None
        return meaning

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of an image, from its file's header."""
        with open_pages(self.pairs[index].image) as pages:
            page = pages[self.pairs[index].page or 0]
            return page.height, page.width

    def image(self, index: int) -> StoredImage:
        """Read only the image of a pair."""
        return read_image(self.pairs[index].image, self.channels, self.pairs[index].page or 0)

    def is_8_bit(self, index: int) -> bool:
        """Return whether the numbers of an image have 8 bits or fewer, from its file's header."""
        with open_pages(self.pairs[index].image) as pages:
            return pages[self.pairs[index].page or 0].is_8_bit

    def name(self, index: int) -> str:
        """Return the name of a pair."""
        return self.pairs[index].name

    def entry(self, index: int, root: str | Path) -> str:
        """Return the image's path below ``root``, the data set's folder."""
        return self.pairs[index].path_below(root)

    def kind(self, index: int) -> str:
        """Return how an image is stored, such as RGB."""
        with open_pages(self.pairs[index].image) as pages:
            return pages[self.pairs[index].page or 0].kind

    def masks_hold(self) -> str:
        """Return how the masks are read."""
        count = sum(pair.labels is not None for pair in self.pairs)
        return self.masks.hold + (f"; objects of {count} in files of their own" if count else "")

    def instances(self, index: int) -> np.ndarray | None:
        """Return the (H, W) int32 object numbers of a mask, 0 for the background; None if they are not known.

        Raises:
            UNetError: the file of the numbers does not fit the mask.
        """
        pair = self.pairs[index]
        numbers = (self._all_labels(pair, index) if pair.labels else
                   self.masks.instances(self.mask_pixels(index)))
        if numbers is not None and _has_parts(numbers):
            say_once(pair.labels or pair.mask, "the pixels of an object are not connected; its parts count as one "
                                               "object")
        return numbers

    def numbers_objects(self, index: int) -> bool:
        """Return whether a mask has the numbers of its objects, in its own file or in another."""
        return self.pairs[index].labels is not None or self.masks.has_objects

    def instances_in(self, index: int, window: Window) -> np.ndarray:
        """Return the object numbers of a part of a mask that has them; only that part is read where that is possible.

        Raises:
            UNetError: the file of the numbers does not fit the mask.
        """
        pair = self.pairs[index]
        if pair.labels is None:
            numbers = self.masks.instances(self.mask_pixels(index, window))
            assert numbers is not None
            return numbers
        if index not in self._agreeing:
            _check_all_have_numbers(pair, (_labels(pair, self.classes_in(index, strip), self.size(index), strip)
                                           for strip in self._strips(index)))
            self._agreeing.add(index)
        return _labels(pair, self.classes_in(index, window), self.size(index), window).numbers

    def _all_labels(self, pair: Pair, index: int) -> np.ndarray:
        """Read the numbers of the objects from a file of their own."""
        classes = self.mask_classes(index)
        labels = _labels(pair, classes, classes.shape)
        _check_all_have_numbers(pair, [labels])
        return labels.numbers

    def folders(self) -> set[Path]:
        """Return the folders of the files."""
        return {path.parent for pair in self.pairs for path in (pair.image, pair.mask)}


class _Labels(NamedTuple):
    """A part of a file of object numbers: (h, w) int32 numbers, and how many pixels of the foreground have none."""
    where: str
    numbers: np.ndarray
    foreground: int
    without: int


def _labels(pair: Pair, classes: np.ndarray, size: tuple[int, ...], window: Window | None = None) -> _Labels:
    """Read the numbers of the objects from a file of their own, or a part of it, whose classes are ``classes``."""
    assert pair.labels is not None
    with open_pages(pair.labels) as pages:
        own = pages[pair.page or 0].height, pages[pair.page or 0].width
    labels = read_mask(pair.labels, pair.page or 0, window=window if own == size else None)
    if labels.is_colour or labels.is_lossy or own != size or labels.numbers.min() < 0:
        raise UNetError(f"{labels.where}: expected the numbers of the objects in {pair.mask.name}, an image of "
                        f"{size[1]}x{size[0]} whole numbers from 0, the background; prepare the data set again, or "
                        f"remove the file")
    foreground = (classes > 0) & (classes != IGNORED)
    numbers = as_object_numbers(np.where(foreground, labels.numbers, 0))
    without = foreground & (numbers == 0)
    return _Labels(labels.where, numbers, int(np.count_nonzero(foreground)), int(np.count_nonzero(without)))


def _check_all_have_numbers(pair: Pair, parts: Iterable[_Labels]) -> None:
    where, foreground, without = "", 0, 0
    for part in parts:      # one at a time in memory
        where, foreground, without = part.where, foreground + part.foreground, without + part.without
    if without > MOST_WITHOUT * foreground:
        raise UNetError(f"{where}: {without} foreground pixels of {pair.mask.name} are of no object; the two "
                        f"files must agree; prepare the data set again, or remove the one with the objects")


def _check_one_size(pair: Pair, image: Sequence[int], mask: Sequence[int]) -> None:
    if tuple(image[:2]) != tuple(mask):
        raise UNetError(f"{pair.image} is {image[1]}x{image[0]}, its {pair.mask.name} is {mask[1]}x{mask[0]}; the two "
                        f"must have one size")
