"""What the numbers and colours in a data set's masks mean.

The option class_values says it. Without it, masks of more than two classes hold class numbers, and masks of two classes
are read by what a number of them holds, evenly spread over the data set: 0 and 1 or 255, two other values, the numbers
of objects, or gray edges between two far values. All readings but the first are logged, with what settles them. What is
none of these is an error.
"""
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from src.data import class_values, mask_advice
from src.data.class_values import IGNORED, ClassValues, count_values, translate, unpack_colour
from src.data.mask_pixels import MaskOptions, MaskPixels, ReadableMask, UsedColours
from src.data.object_numbers import are_objects, as_object_numbers
from src.model_utils.errors import UNetError

logger = logging.getLogger("unet")

MOST_MASKS = 64             # masks that decide how all are read
MOST_PIXELS = 32 * 10**6    # after that many of their pixels, no more masks are looked at

EDGE = 3                    # pixels; a gray edge is at most that far from both sides
MOST_BETWEEN = 0.2          # gray edges have at most this share of the pixels
FAR = 32                    # least distance of two values with gray edges between them

@dataclass(frozen=True)
class Meaning:
    """One way to read masks.

    Attributes:
        hold: what such masks hold.
        of_number: number -> class, or None for a number without one.
        of_colours: the numbers are packed colours.
        has_objects: the numbers are those of objects.
        cut_between: the two values of gray ones that are cut in the middle, so the file may have changed them; or None.
    """
    hold: str
    of_number: Callable[[int], int | None]
    of_colours: bool = False
    has_objects: bool = False
    cut_between: tuple[int, int] | None = None

    @property
    def is_cut(self) -> bool:
        """Whether gray values are cut."""
        return self.cut_between is not None

    def fits(self, mask: ReadableMask) -> bool:
        """Return whether a whole mask is one of those that this way is for, as far as its numbers tell.

        Any number can be cut. So a file that keeps its numbers and holds several must have a part near the upper value,
        or the edge of one, and few pixels far from both values: else it holds numbers of classes or objects.
        """
        if self.cut_between is None or mask.pixels.is_lossy or len(mask.counts) < 2:
            return True
        low, high = self.cut_between
        if max(mask.counts) < high - (high - low) / 4:
            edge = (mask.pixels.numbers > low).astype(np.uint8)
            is_thin = not cv2.erode(edge, np.ones((2 * EDGE + 1,) * 2, np.uint8)).any()
            return max(mask.counts) - low >= FAR and is_thin
        return _share_between(mask.counts, low, high) <= MOST_BETWEEN

    def read(self, mask: ReadableMask) -> np.ndarray | None:
        """Return (H, W) uint8 classes, or None if the mask has a number without one."""
        if mask.pixels.is_colour != self.of_colours or mask.pixels.is_lossy and not self.is_cut:
            return None
        of_number = {}
        for value in mask.counts:
            number = self.of_number(value)
            if number is None:
                return None
            of_number[value] = number
        classes = translate(mask.pixels.numbers, of_number)
        classes[mask.ignored] = IGNORED
        return classes


# Functions with names, since a process that counts classes is sent the reader with them.


def _of_object(number: int) -> int | None:
    return int(number > 0) if number >= 0 else None


def _of_class(num_classes: int, number: int) -> int | None:
    return number if 0 <= number < num_classes else None


def _of_gray(cut: float, number: int) -> int:
    return int(number > cut)


def _of_packed(values: ClassValues, packed: int) -> int | None:
    return values.of_colour(unpack_colour(packed))


def _share_between(counts: Mapping[int, int], low: int, high: int) -> float:
    """Return the share of the pixels that are far from two values."""
    quarter = (high - low) / 4
    far = sum(count for value, count in counts.items() if min(abs(value - low), abs(value - high)) > quarter)
    return far / sum(counts.values())


PLAIN = [Meaning("0 and 1", {0: 0, 1: 1}.get), Meaning("0 and 255", {0: 0, 255: 1}.get)]
OBJECTS = Meaning("numbers of objects", _of_object, has_objects=True)


class MaskClasses:
    """Turns the masks of one data set into classes.

    Args:
        read (callable): reads the mask of a number; it may raise UNetError for one that cannot be read.
        count (int): number of masks.
        options (MaskOptions): what the options say about them.

    Raises:
        UNetError: masks that nobody can understand without further options.
    """

    def __init__(self, read: Callable[[int], MaskPixels], count: int, options: MaskOptions):
        self.options = options
        looked_at = list(_look(read, count))
        self.has_coloured_palettes = any(mask.has_coloured_palette for mask in looked_at)
        self.palettes = UsedColours()
        masks = [self._readable(mask) for mask in looked_at]
        self.palettes.settle()
        self.seen: Counter[int] = Counter()
        for mask in masks:
            self.seen.update(mask.counts)
        self.meanings = self._named(masks) if options.named else self._decide(masks)
        self.are_plain = self.meanings is PLAIN

    @property
    def hold(self) -> str:
        """What the masks hold, for tables."""
        return ", or ".join(dict.fromkeys(meaning.hold for meaning in self.meanings))

    @property
    def has_objects(self) -> bool:
        """Whether the masks hold the numbers of objects."""
        return any(meaning.has_objects for meaning in self.meanings)

    def meaning(self, pixels: MaskPixels) -> Meaning | None:
        """Return how a mask is read, given its numbers; None if none of the known ways fits."""
        mask = self._readable(pixels)
        return next((meaning for meaning in self.meanings if meaning.read(mask) is not None), None)

    def classes(self, pixels: MaskPixels, meaning: Meaning | None = None) -> np.ndarray:
        """Return (H, W) uint8 class numbers, or IGNORED.

        Args:
            pixels: the mask, or a part of it.
            meaning: how the mask is read; None for the first way that fits.

        Raises:
            UNetError: the mask holds something that has no class.
        """
        mask = self._readable(pixels)
        for one in [meaning] if meaning else filter(lambda one: one.fits(mask), self.meanings):
            classes = one.read(mask)
            if classes is not None:
                return classes
        cut = gray_edges([mask]) if self.are_plain else None
        if cut is None:
            raise mask_advice.no_class(mask, self.seen, self.options)
        self.meanings, self.are_plain = [*PLAIN, cut], False
        return self.classes(pixels)

    def instances(self, pixels: MaskPixels) -> np.ndarray | None:
        """Return the (H, W) int32 numbers of the objects, 0 for the background; None if masks hold no objects."""
        if not self.has_objects:
            return None
        classes = self.classes(pixels)
        numbers = self._readable(pixels).pixels.numbers
        return as_object_numbers(np.where((classes > 0) & (classes != IGNORED), numbers, 0))

    def _readable(self, mask: MaskPixels) -> ReadableMask:
        """Read the palette, and find the pixels that are ignored."""
        named, ignore = self.options.named, self.options.ignore
        ignored = np.zeros(mask.numbers.shape, bool)
        if mask.palette is not None:
            # Numbers beside colours are grays, as 0 is black; numbers alone are those of the palette.
            if named and (named.colours or not named.numbers):
                ignored = mask.where_ignored(ignore)
                mask = mask.as_colours()
            elif self.has_coloured_palettes:
                if differing := self.palettes.differing(mask):
                    raise mask_advice.palettes_differ(mask, *differing)
                ignored = mask.where_ignored(ignore)
            elif mask.has_coloured_palette:
                raise mask_advice.colours_among_grays(mask)
            else:
                mask = mask.as_gray()
        if ignore is not None:
            ignored = ignored | (mask.numbers == class_values.code(ignore, mask.is_colour))
        return ReadableMask(mask, ignored, count_values(mask.numbers[~ignored] if ignored.any() else mask.numbers))

    def _named(self, masks: Sequence[ReadableMask]) -> list[Meaning]:
        named = self.options.named
        assert named is not None
        has_objects = named.other is not None and are_objects(masks, self.seen)
        return [Meaning(named.source, named.of_number, has_objects=has_objects),
                Meaning(named.source, partial(_of_packed, named), of_colours=True)]

    def _decide(self, masks: Sequence[ReadableMask]) -> list[Meaning]:
        """Decide how masks are read of which class_values says nothing."""
        coloured = next((mask for mask in masks if mask.pixels.is_colour), None)
        if coloured:
            raise mask_advice.no_class(coloured, self.seen, self.options)
        if self.options.num_classes > 2:
            return [Meaning("class numbers", partial(_of_class, self.options.num_classes))]
        odd = [mask for mask in masks if all(meaning.read(mask) is None for meaning in PLAIN)]
        if not odd:
            return PLAIN
        numbers = sorted(self.seen)
        if len(numbers) <= 2 and not any(mask.pixels.is_lossy for mask in odd):
            logger.info("masks hold %s: %d is the foreground; class_values says so without a guess",
                        " and ".join(map(str, numbers)), numbers[-1])
            # A number alone is the foreground, unless it is 0 or negative.
            largest = int(len(numbers) == 2 or numbers[-1] > 0)
            return [Meaning(" and ".join(map(str, numbers)), {numbers[0]: 0, numbers[-1]: largest}.get)]
        if are_objects(odd, self.seen):
            logger.info("masks hold the numbers of objects, %d to %d in all: every number but 0 is the foreground. If "
                        "they are classes, set num_classes; class_values: [0, other] says that they are not",
                        numbers[0], numbers[-1])
            return [OBJECTS]
        cut = gray_edges(odd)
        if cut:
            return [*PLAIN, cut]
        if len(odd) <= len(masks) // 2:     # each of them is an error of its own when it is read
            return PLAIN
        raise mask_advice.no_class(odd[0], self.seen, self.options)


def _look(read: Callable[[int], MaskPixels], count: int) -> Iterator[MaskPixels]:
    """Yield masks that are evenly spread; those that cannot be read are left for those who need them."""
    pixels = 0
    for index in np.unique(np.linspace(0, count - 1, min(count, MOST_MASKS)).round().astype(int)).tolist():
        try:
            mask = read(index)
        except UNetError:
            continue
        yield mask
        pixels += mask.numbers.size
        if pixels > MOST_PIXELS:
            return


def gray_edges(masks: Sequence[ReadableMask]) -> Meaning | None:
    """Return the cut between two far values, and log it, if all others are edges between these; else None."""
    # Files that change values decide how they are cut, if they hold both values; others must fit by themselves.
    lossy = [mask for mask in masks if mask.pixels.is_lossy]
    values = {value for mask in lossy for value in mask.counts}
    masks = lossy if values and max(values) - min(values) >= FAR else masks
    counts: Counter[int] = Counter()
    for mask in masks:
        counts.update(mask.counts)
    if len(counts) < 2 or any(mask.pixels.is_colour for mask in masks):
        return None
    middle = (min(counts) + max(counts)) / 2
    low, high = (max((value for value in counts if (value > middle) == above), key=lambda value: counts[value])
                 for above in (False, True))
    share = _share_between(counts, low, high)
    if high - low < FAR or share > MOST_BETWEEN:
        return None
    if not any(mask.pixels.is_lossy for mask in masks) and (
            len(counts) < 5 or not all(_is_thin(mask.pixels.numbers, low, high) for mask in masks)):
        return None
    cut = (low + high) / 2
    logger.warning("WARNING: masks have gray edges or come from JPEG files: %.2g %% of their pixels are far from both "
                   "%d and %d; they are cut at %g. To be sure, save masks that hold two values", 100 * share, low,
                   high, cut)
    return Meaning(f"gray values, cut at {cut:g}", partial(_of_gray, cut), cut_between=(low, high))


def _is_thin(numbers: np.ndarray, low: int, high: int) -> bool:
    """Return whether nearly all pixels between two values are close to both, as those of an edge are."""
    edge = (numbers > low) & (numbers < high)
    quarter, square = (high - low) / 4, np.ones((2 * EDGE + 1,) * 2, np.uint8)
    near_both = edge.copy()
    for side in (numbers <= low + quarter, numbers >= high - quarter):
        near_both &= cv2.dilate(side.astype(np.uint8), square) > 0
    return np.count_nonzero(near_both) >= 0.9 * np.count_nonzero(edge)
