"""The option class_values: which numbers or colours in a mask make which class, and the names of the classes.

It is a list, in which the place of an entry is its class, or a dictionary of names. An entry is a number, a colour such
as "#ff0000", the word ``other`` for all that is not named, or a list of these. A list of names alone says that masks
hold class numbers. The file ``classes.json`` beside the data set says the same, for data sets that bring it along.
"""
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from src.model_utils.errors import UNetError
from src.model_utils.inputs import MissingFile, read_json
from src.model_utils.options import to_class_values

CLASSES_FILE = "classes.json"
OTHER = "other"
IGNORED = 255       # in arrays of classes: a pixel that counts nowhere. Classes are 0 to 254.
BLOCK = 2**22           # numbers of an array that are worked on together, where whole arrays may be large

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ClassValues:
    """What class_values says.

    Attributes:
        source: where it was said, for messages.
        names: name of each class; empty if they have none.
        numbers: number in a mask -> class.
        colours: (red, green, blue) -> class.
        other: class of everything else; None if there is none.
        only_names: names were given, and no values: masks hold class numbers.
    """
    source: str
    names: list[str] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    colours: dict[Colour, int] = field(default_factory=dict)
    other: int | None = None
    only_names: bool = False

    def of_number(self, number: int) -> int | None:
        """Return the class of a number, also of one that is named as a gray colour; None if it has none."""
        return self.numbers.get(number, self.colours.get((number,) * 3, self.other))

    def of_colour(self, colour: Colour) -> int | None:
        """Return the class of a colour, also of a gray that is named as a number; None if it has none."""
        is_gray = colour[0] == colour[1] == colour[2]
        return self.colours.get(colour, self.numbers.get(colour[0], self.other) if is_gray else self.other)


def parse(given: list[Any] | dict[str, Any], num_classes: int, source: str = "class_values") -> ClassValues:
    """Read a value of the option.

    Args:
        given (list or dict): what ``src.model_utils.options`` has checked to be numbers and texts.
        num_classes (int): number of classes, the background included.
        source (str): where it was given, for messages.

    Raises:
        UNetError: another number of classes, a text that is no colour, or a value of two classes.
    """
    if len(given) != num_classes:
        raise UNetError(f"{source} has {len(given)} classes, num_classes is {num_classes}; both count the background")
    if isinstance(given, list) and all(isinstance(entry, str) and parse_colour(entry) is None and entry != OTHER
                                       for entry in given):
        if len(set(given)) < len(given):
            raise UNetError(f"{source}: a class is named twice: {', '.join(given)}")
        return ClassValues(source, list(given), {number: number for number in range(num_classes)}, only_names=True)
    names, values = (list(given), list(given.values())) if isinstance(given, dict) else ([], given)
    numbers: dict[int, int] = {}
    colours: dict[Colour, int] = {}
    others: list[int] = []
    for number, entry in enumerate(values):
        for value in entry if isinstance(entry, list) else [entry]:
            if value == OTHER:
                others.append(number)
                continue
            colour = parse_colour(value) if isinstance(value, str) else (value,) * 3
            if colour is None:
                raise UNetError(f'{source}: {value!r} found; expected a number, a colour such as "#ff0000", or {OTHER}')
            known = colours.get(colour, numbers.get(colour[0]) if colour[0] == colour[1] == colour[2] else None)
            if known is not None:
                raise UNetError(f"{source}: {value} is named for the classes {known} and {number}")
            if isinstance(value, str):
                colours[colour] = number
            else:
                numbers[value] = number
    if len(others) > 1:
        raise UNetError(f"{source}: {OTHER} is named for the classes {others[0]} and {others[1]}")
    return ClassValues(source, names, numbers, colours, others[0] if others else None)


def parse_colour(text: str) -> Colour | None:
    """Return (red, green, blue) of "#ff0000" or "#f00", or None."""
    match = re.fullmatch(r"#([0-9a-f]{3}|[0-9a-f]{6})", text.strip().lower())
    if not match:
        return None
    digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def colour_text(colour: Colour) -> str:
    """Return "#ff0000" for (255, 0, 0)."""
    return f"#{bytes(colour).hex()}"


def resolve(given: list[Any] | dict[str, Any], data_dir: str | Path, num_classes: int) -> ClassValues | None:
    """Return what the option class_values says, or without it ``classes.json`` in the data set's folder, or None.

    Raises:
        UNetError: see ``parse``; also a classes.json of another form.
    """
    if given:
        return parse(given, num_classes)
    noted = read_noted(data_dir)
    return None if noted is None else parse(noted, num_classes, str(Path(data_dir) / CLASSES_FILE))


def read_noted(data_dir: str | Path) -> list[Any] | dict[str, Any] | None:
    """Return what ``classes.json`` in the data set's folder says, in the form of the option; None without the file.

    Raises:
        UNetError: the file has another form.
    """
    path = Path(data_dir) / CLASSES_FILE
    try:
        return read_json(path, to_class_values, "expected a list of classes, or a dictionary of their names")
    except MissingFile:
        return None


# ---- numbers in arrays


def row_blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of an array, as many together as keep the memory of what is computed from them small."""
    step = max(1, BLOCK // max(1, array[:1].size))
    for start in range(0, len(array), step):
        yield array[start:start + step]


def count_numbers(numbers: np.ndarray, count: int) -> np.ndarray:
    """Count how often 0, 1, ..., ``count`` - 1 are in an array of whole numbers of at least 0: (count,) int64."""
    counts = np.zeros(count, np.int64)
    for rows in row_blocks(numbers):
        counts += np.bincount(rows.ravel(), minlength=count)[:count]
    return counts


def count_values(numbers: np.ndarray) -> dict[int, int]:
    """Return value -> number of pixels of an array of whole numbers, the smallest value first."""
    if numbers.dtype in (np.uint8, np.uint16):
        # Of uint8, Pillow counts many times faster than NumPy.
        counts = (np.array(Image.fromarray(np.atleast_2d(numbers)).histogram()) if numbers.dtype == np.uint8
                  else np.bincount(numbers.ravel()))
        values = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(numbers, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist()))


def translate(numbers: np.ndarray, of_number: dict[int, int]) -> np.ndarray:
    """Turn (H, W) whole numbers into (H, W) uint8 classes.

    Args:
        numbers (np.ndarray): (H, W).
        of_number (dict): number -> class. Pixels with other numbers get any class.
    """
    values = np.array(sorted(of_number), np.int64)
    classes = np.array([of_number[value] for value in values.tolist()], np.uint8)
    if numbers.dtype in (np.uint8, np.uint16):
        table = np.zeros(np.iinfo(numbers.dtype).max + 1, np.uint8)
        table[values] = classes
        return table.take(numbers)      # four times faster than an index
    if not len(values):
        return np.zeros(numbers.shape, np.uint8)
    return classes[np.searchsorted(values, numbers).clip(max=len(values) - 1)]


def pack_colours(pixels: np.ndarray) -> np.ndarray:
    """Pack (..., 3) uint8 red, green, blue into (...) int32; ``unpack_colour`` undoes it for one."""
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    return red << 16 | green << 8 | blue


def code(value: int | str, is_colour: bool) -> int | None:
    """Return a number or a colour's text as masks have it: packed if they hold colours, else a number.

    A gray colour is its gray value, and the other way round; None if the masks cannot hold the value.
    """
    colour = parse_colour(value) if isinstance(value, str) else (value,) * 3
    if colour is None or is_colour and not 0 <= min(colour) <= max(colour) <= 255:
        return None
    if is_colour:
        return int(pack_colours(np.array(colour, np.uint8)))
    return colour[0] if colour[0] == colour[1] == colour[2] else None


def unpack_colour(number: int) -> Colour:
    """Return (red, green, blue) of a packed colour."""
    return number >> 16, number >> 8 & 255, number & 255
