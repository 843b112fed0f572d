"""What masks hold that no option describes: the number of classes, their values, and whether they have objects."""
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.data.class_values import code, colour_text, count_values, unpack_colour
from src.data.mask_advice import shares
from src.data.mask_classes import gray_edges
from src.data.mask_pixels import MaskPixels, ReadableMask, UsedColours, read_mask
from src.data.object_numbers import are_objects
from src.model_utils.errors import UNetError

VOID = 255              # in masks of class numbers: a pixel that nobody has labelled
MOST_COLOURS = 32
MOST_CLASSES = 100
MOST_FEW = 8            # numbers that may be those of organs, of which an image has at most one each


@dataclass(frozen=True)
class Classes:
    """What masks hold.

    Attributes:
        options: num_classes, and class_values or ignore_index if it takes them.
        because: the reason.
        has_objects: the numbers are those of objects.
        is_guess: other readings are possible.
    """
    options: dict[str, Any]
    because: str
    has_objects: bool = False
    is_guess: bool = False


def is_mask(path: Path) -> bool:
    """Return whether a file looks like a mask: few values, two far values with edges between, or numbers of objects."""
    try:
        mask = readable(read_mask(path, invert=False))
    except UNetError:
        return False
    common = sorted(mask.counts.values())[-2:]
    if len(mask.counts) <= MOST_COLOURS or sum(common) > 0.9 * sum(mask.counts.values()):
        return True
    return are_objects([mask], mask.counts)


def readable(mask: MaskPixels, ignore: int | str | None = None) -> ReadableMask:
    """Return a mask whose palette, if it has one, is numbers if it is coloured, else grays; without ``ignore``."""
    if mask.palette is not None and not mask.has_coloured_palette:
        mask = mask.as_gray()
    ignored = np.zeros(mask.numbers.shape, bool) if ignore is None else mask.numbers == code(ignore, mask.is_colour)
    return ReadableMask(mask, ignored, count_values(mask.numbers[~ignored]))


def decide(pixels: Sequence[MaskPixels], ignore: int | str | None = None) -> Classes:
    """Decide what masks hold besides ``ignore``, a number or a colour.

    Raises:
        UNetError: nothing that makes sense; the message shows the values.
    """
    palettes = UsedColours()
    if any(palettes.differing(mask) for mask in pixels if mask.has_coloured_palette):
        pixels = [mask.as_colours() if mask.palette is not None else mask for mask in pixels]
    masks = [readable(mask, ignore) for mask in pixels]
    seen: Counter[int] = Counter()
    for mask in masks:
        seen.update({_packed(value, mask) if any(one.pixels.is_colour for one in masks) else value: count
                     for value, count in mask.counts.items()})
    if any(mask.pixels.is_colour for mask in masks):
        return _colours(seen, masks)
    numbers, found = sorted(seen), shares(seen)
    if not numbers:
        raise UNetError(f"{masks[0].pixels.where}: all pixels of the masks are ignored (ignore_index {ignore}); there "
                        f"is nothing to learn from them")
    if len(numbers) == 1:
        return Classes({"num_classes": 2}, f"masks hold only {numbers[0]}")
    if len(numbers) == 2:
        return Classes({"num_classes": 2}, f"masks hold {found}")
    if are_objects(masks, seen) and not _same_in_all(masks, numbers):
        because, few = f"masks hold the numbers of objects, up to {numbers[-1]}", numbers[-1] <= MOST_FEW
        if few:
            because += f"; if they are classes: --num_classes={numbers[-1] + 1}"
        return Classes({"num_classes": 2}, because, has_objects=True, is_guess=few)
    if gray_edges(masks):
        return Classes({"num_classes": 2}, f"masks hold gray edges between two values: {found}", is_guess=True)
    return _numbers(numbers, found, masks)


def _packed(value: int, mask: ReadableMask) -> int:
    return value if mask.pixels.is_colour or not 0 <= value <= 255 else value * 0x010101


def _colours(seen: Counter[int], masks: Sequence[ReadableMask]) -> Classes:
    found = shares(seen, True)
    where = next(mask.pixels.where for mask in masks if mask.pixels.is_colour)
    if len(seen) > MOST_COLOURS or any(mask.pixels.is_lossy for mask in masks):
        raise UNetError(f"{where}: masks of {len(seen)} colours found ({found}); a mask has one colour for each class: "
                        f"save masks without edges of mixed colours, as PNG, or say what is meant with --class_values")
    order = sorted(seen, key=lambda value: (value != 0, -seen[value]))
    return Classes({"num_classes": max(2, len(order)),
                    "class_values": [colour_text(unpack_colour(value)) for value in order]},
                   f"masks hold the colours {found}" + ("" if 0 in seen else "; the most frequent is the background"),
                   is_guess=0 not in seen)


def _same_in_all(masks: Sequence[ReadableMask], numbers: list[int]) -> bool:
    """Return whether all masks hold the same few numbers, as those of organs do; cells have other numbers in each."""
    return (len(masks) > 1 and 2 < len(numbers) <= MOST_FEW
            and all(sorted(mask.counts) == numbers for mask in masks))


def _numbers(numbers: list[int], found: str, masks: Sequence[ReadableMask]) -> Classes:
    ignored = VOID if VOID in numbers and max(small := [value for value in numbers if value != VOID]) < 64 and (
        small == list(range(len(small)))) else None
    classes = [value for value in numbers if value != ignored]
    if len(classes) > MOST_CLASSES or classes[0] < 0 or any(mask.pixels.is_lossy for mask in masks):
        raise UNetError(f"{masks[0].pixels.where}: masks of {len(numbers)} values found ({found}), which are neither "
                        f"two classes, nor class numbers, nor the numbers of objects; say what is meant with "
                        f"--num_classes or --class_values")
    options: dict[str, Any] = {"num_classes": max(2, len(classes))}
    because = f"masks hold {found}"
    if classes[-1] >= 2 * len(classes) or classes[0] > 0:
        options["class_values"] = classes
        because += "; each value is a class"
    else:
        options["num_classes"] = max(2, classes[-1] + 1)
    if ignored is not None:
        options["ignore_index"] = ignored
        because += f"; {ignored} beside class numbers is taken for pixels that nobody has labelled"
    return Classes(options, because, is_guess=ignored is not None)
