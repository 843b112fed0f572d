"""Masks as whole numbers or colours, before anybody says which class they are."""
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from src.data.class_values import ClassValues, code, count_values, pack_colours
from src.data.colours import CMYK, LAB, WHITE_IS_ZERO, YCBCR, to_gray
from src.data.image_reader import open_pages
from src.data.page import Page, Window
from src.model_utils.errors import UNetError

Colour = tuple[int, int, int]       # red, green, blue, 0 to 255

NEARLY_GRAY = 16        # between red, green and blue; so far compression moves what was gray


@dataclass(frozen=True)
class MaskOptions:
    """What the options say about masks.

    Attributes:
        num_classes: number of classes, the background included.
        values: what class_values says, or None.
        ignore: value of the ignored pixels, a number or a colour's text; None for none.
        invert: see ``read_mask``.
    """
    num_classes: int = 2
    values: ClassValues | None = None
    ignore: int | str | None = None
    invert: bool | None = None

    @property
    def named(self) -> ClassValues | None:
        """What class_values says about numbers and colours; None if it only has names."""
        return None if self.values is None or self.values.only_names else self.values


TWO_CLASSES = MaskOptions()


@dataclass(frozen=True)
class MaskPixels:
    """The pixels of a mask, as its file holds them.

    Attributes:
        where: the file, and the page if it has several, for messages.
        numbers: (H, W) whole numbers: gray values, a palette's numbers, or colours as ``pack_colours`` packs them.
        is_colour: numbers are packed colours.
        palette: (n, 3) uint8 red, green, blue of the file's palette, or None.
        is_lossy: a JPEG, which changes values.
    """
    where: str
    numbers: np.ndarray
    is_colour: bool = False
    palette: np.ndarray | None = None
    is_lossy: bool = False

    def used_colours(self) -> dict[int, Colour]:
        """Return the numbers used, with their red, green and blue in the palette."""
        assert self.palette is not None
        used = sorted(count_values(self.numbers))
        return dict(zip(used, map(tuple, self.palette[used].tolist())))

    @property
    def has_coloured_palette(self) -> bool:
        """Whether the palette has a colour that is not gray, up to the largest number used."""
        if self.palette is None:
            return False
        used = self.palette[:int(self.numbers.max()) + 1]
        return bool((used != used[:, :1]).any())

    def as_gray(self) -> "MaskPixels":
        """Return a mask with a palette of grays as the gray values that it shows."""
        assert self.palette is not None
        return MaskPixels(self.where, self.palette[:, 0][self.numbers], is_lossy=self.is_lossy)

    def where_ignored(self, value: int | str | None) -> np.ndarray:
        """Return (H, W) bool: where a mask with a palette has a number, or shows a colour."""
        if isinstance(value, str):
            return self.as_colours().numbers == code(value, is_colour=True)
        return self.numbers == value

    def as_colours(self) -> "MaskPixels":
        """Return a mask with a palette as the colours that it shows."""
        assert self.palette is not None
        return MaskPixels(self.where, pack_colours(self.palette[None])[0][self.numbers], True)


class UsedColours:
    """The colours that palettes give to the numbers that masks use, which must be the same in all of them."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Colour, str]] = {}      # number -> colour, and where it was found first
        self.settled = self.known

    def settle(self) -> None:
        """Pickle what is known by now, and nothing else: the rest depends on which masks are read before."""
        self.settled = dict(self.known)

    def __getstate__(self) -> dict[str, Any]:
        return {"known": dict(self.settled), "settled": self.settled}

    def differing(self, mask: MaskPixels) -> tuple[int, Colour, str] | None:
        """Return a number of the mask that has another colour, its known colour, and where that is; or add them all."""
        used = mask.used_colours()
        for number, colour in used.items():
            known, where = self.known.get(number, (colour, mask.where))
            if known != colour:
                return number, known, where
        self.known.update({number: (colour, mask.where) for number, colour in used.items()
                           if number not in self.known})
        return None


@dataclass(frozen=True)
class ReadableMask:
    """A mask without a palette.

    Attributes:
        pixels: its numbers or colours.
        ignored: (H, W) bool, where it does not count.
        counts: value -> number of pixels that count.
    """
    pixels: MaskPixels
    ignored: np.ndarray
    counts: dict[int, int]


def read_mask(path: Path, number: int = 0, invert: bool | None = None, window: Window | None = None) -> MaskPixels:
    """Read a page of a mask's file.

    Args:
        path (Path): the file.
        number (int): number of the page, from 0.
        invert, window: see ``mask_of_page``.

    Raises:
        UNetError: see ``mask_of_page``; also a damaged file.
    """
    with open_pages(path) as pages:
        return mask_of_page(pages, number, invert, window)


def mask_of_page(pages: Sequence[Page], number: int, invert: bool | None = None,
                 window: Window | None = None) -> MaskPixels:
    """Read one of the pages of a mask's file that is open.

    Args:
        pages: all pages of the file.
        number: which of them, from 0.
        invert (bool): invert masks in which white is zero; None takes those of ImageJ as stored and refuses others.
        window (Window): the part of the page that is returned; None for all.

    Raises:
        UNetError: the file is damaged, has pixels that are no whole numbers, or white is zero and nobody says what
            that means.
    """
    page = pages[number]
    where = f"{page.path}[{number}]" if len(pages) > 1 else str(page.path)
    if window and page.samples > 1:     # only the whole page tells which of the samples count
        mask = mask_of_page(pages, number, invert)
        return replace(mask, numbers=mask.numbers[window])
    if window:
        pixels = page.stored(window[0].start, window[0].stop, window[1].start, window[1].stop)
    else:
        pixels = page.shown() if page.photometric in (CMYK, YCBCR, LAB) else _without_alpha(page)
    if page.photometric == WHITE_IS_ZERO:
        pixels = _white_is_zero(pixels, page, where, invert)
    if pixels.shape[2] not in (1, 3):
        raise UNetError(f"{where}: {pixels.shape[2]} channels found; a mask has one, or red, green and blue")
    if page.is_jpeg and pixels.shape[2] == 3 and np.ptp(pixels, axis=2).max() <= NEARLY_GRAY:
        pixels = to_gray(pixels)[..., None]
    if pixels.shape[2] == 1 or (pixels == pixels[..., :1]).all():
        return MaskPixels(where, _whole(pixels[..., 0], where), False, page.palette, page.is_jpeg)
    if pixels.dtype != np.uint8:
        raise UNetError(f"{where}: colours of {pixels.dtype} found; save masks of colours with 8 bits")
    return MaskPixels(where, pack_colours(pixels), True, None, page.is_jpeg)


def _without_alpha(page: Page) -> np.ndarray:
    """Read a page without alpha; or alpha alone if it has the mask, as the colour is constant and alpha is not."""
    pixels = page.stored()
    if page.alpha is None or page.samples == 1:
        return pixels
    colour, alpha = np.delete(pixels, page.alpha, axis=2), pixels[..., page.alpha:page.alpha + 1]
    return alpha if (colour == colour[:1, :1]).all() and (alpha != alpha[0, 0]).any() else colour


def _white_is_zero(pixels: np.ndarray, page: Page, where: str, invert: bool | None) -> np.ndarray:
    if invert is None and not page.by_imagej:
        raise UNetError(f"{where}: white is zero in this TIFF file (MinIsWhite), and programs disagree on such masks; "
                        f"set mask_invert to True if it should be read as a viewer shows it, or to False if the "
                        f"foreground has the larger numbers in the file")
    if not invert:
        return pixels
    return (pixels ^ True) if pixels.dtype == bool else pixels.dtype.type(2 ** page.bits - 1) - pixels


def _whole(numbers: np.ndarray, where: str) -> np.ndarray:
    """Return numbers as integers."""
    if numbers.dtype == bool:
        return numbers.astype(np.uint8)
    if numbers.dtype.kind in "iu":
        return numbers
    whole = np.round(numbers)
    # "not (all equal)" instead of "any unequal", so that NaN is refused too.
    if not (numbers == whole).all() or np.abs(whole).max() > 2**31:
        odd = numbers[~np.isfinite(numbers) | (numbers != whole)]
        raise UNetError(f"{where}: floating-point numbers found, such as {odd[0] if len(odd) else numbers.max():g}; a "
                        f"mask holds whole numbers")
    return whole.astype(np.int64)
