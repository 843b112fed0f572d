"""The pages of an image file: their numbers as they are stored, and as a viewer shows them."""
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.data import colours
from src.data.file_structure import FileStructure
from src.model_utils.errors import UNetError

# Orientation tag of TIFF and EXIF -> whether rows and columns are exchanged, then whether rows, and columns, are turned
# around, to make the stored image upright.
_UPRIGHT = {1: (False, False, False), 2: (False, False, True), 3: (False, True, True), 4: (False, True, False),
            5: (True, False, False), 6: (True, False, True), 7: (True, True, True), 8: (True, True, False)}

Window = tuple[slice, slice]    # rows and columns of a page, with start and stop
STRIP_BYTES = 2**25             # of a window that ``Page.strips`` yields


@dataclass(frozen=True)
class Page:
    """A page of an image file. Sizes are upright: the orientation tag is applied.

    Attributes:
        path: the file.
        format: PNG, JPEG, BMP, GIF, WEBP or TIFF.
        photometric: what the stored numbers mean: gray, white is zero, palette, RGB, CMYK, YCbCr or Lab.
        stored_size: (height, width) as stored, before the page is made upright.
        samples: numbers a pixel.
        dtype: their type.
        bits: bits a number has in the file, which may be fewer than those of its type.
        read_window: reads (h, w, samples) from the stored image, given a slice of its rows and one of its columns.
        orientation: the orientation tag, 1 to 8.
        alpha: number of the sample that is an alpha channel, from 0; None without it.
        palette: (colours, 3) uint8 red, green, blue.
        is_jpeg: whether the compression of JPEG or WebP has changed the numbers.
        by_imagej: whether ImageJ's description is in the file.
        rows_at_once: rows of the upright page that are decoded together; reading multiples of it saves time.
        in_windows: whether ``read_window`` decodes only the part that it reads, and not the whole page.
    """
    path: Path
    format: str
    photometric: str
    stored_size: tuple[int, int]
    samples: int
    dtype: np.dtype
    bits: int
    read_window: Callable[[slice, slice], np.ndarray]
    orientation: int = 1
    alpha: int | None = None
    palette: np.ndarray | None = None
    is_jpeg: bool = False
    by_imagej: bool = False
    rows_at_once: int = 1
    in_windows: bool = False

    @property
    def is_turned(self) -> bool:
        """Whether stored rows are columns of the upright page."""
        return _UPRIGHT[self.orientation][0]

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.stored_size[self.is_turned]

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.stored_size[not self.is_turned]

    @property
    def has_alpha(self) -> bool:
        """Whether a sample is an alpha channel."""
        return self.alpha is not None

    @property
    def bands(self) -> int:
        """Number of bands that ``shown`` gives."""
        return 3 if self.photometric in colours.TO_RGB else self.samples - self.has_alpha

    @property
    def is_colour(self) -> bool:
        """Whether the first three bands are red, green and blue."""
        return self.photometric == colours.RGB or self.photometric in colours.TO_RGB

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest number that ``shown`` can give; (0, 1) for floating-point numbers."""
        if self.photometric in (colours.PALETTE, colours.LAB):
            return 0, 255
        if self.dtype.kind == "f":
            return 0, 1
        if self.dtype.kind == "i":
            return -2 ** (self.bits - 1), 2 ** (self.bits - 1) - 1
        return 0, 2 ** self.bits - 1

    @property
    def is_8_bit(self) -> bool:
        """Whether the numbers that ``shown`` gives have 8 bits or fewer."""
        return self.limits[1] - self.limits[0] < 256 and self.dtype.kind != "f"

    @property
    def kind(self) -> str:
        """How the page is stored, for tables: gray; RGB, 12 bits; 4 bands, 16 bits, signed."""
        name = self.photometric
        if self.bands > (3 if self.is_colour else 1):
            name = f"{self.bands} bands"
        bits = "" if self.bits == 8 else f", {self.bits} bit{'s' if self.bits > 1 else ''}"
        return name + bits + {"f": ", floating point", "i": ", signed"}.get(self.dtype.kind, "")

    def stored(self, top: int = 0, bottom: int | None = None, left: int = 0, right: int | None = None) -> np.ndarray:
        """Read rows ``top`` to ``bottom`` and columns ``left`` to ``right`` (all by default) as stored.

        Returns:
            np.ndarray: (rows, columns, samples) of ``dtype``.

        Raises:
            UNetError: the file is damaged.
        """
        exchange, up, across = _UPRIGHT[self.orientation]
        rows = _stored_slice(top, bottom, self.height, up)
        columns = _stored_slice(left, right, self.width, across)
        pixels = self.read_window(columns, rows).swapaxes(0, 1) if exchange else self.read_window(rows, columns)
        if self.palette is not None and pixels[..., 0].max(initial=0) >= len(self.palette):
            raise UNetError(f"{self.path}: damaged: a pixel has the number {pixels[..., 0].max()}, and the palette "
                            f"only {len(self.palette)} colours; save the image again")
        return pixels[::-1 if up else 1, ::-1 if across else 1]

    def strips(self) -> Iterator[Window]:
        """Yield windows that together are the page, from top to bottom, each of little memory if possible."""
        step = STRIP_BYTES // (self.width * self.samples * self.dtype.itemsize)
        step = max(1, step // self.rows_at_once) * self.rows_at_once if self.in_windows else self.height
        for top in range(0, self.height, step):
            yield slice(top, min(self.height, top + step)), slice(0, self.width)

    def shown(self, top: int = 0, bottom: int | None = None) -> np.ndarray:
        """Read rows ``top`` to ``bottom`` (all by default) as a viewer shows them: (rows, W, bands).

        MinIsWhite is inverted. Palettes, CMYK, YCbCr and Lab are red, green, blue. Alpha is left out.

        Raises:
            UNetError: the file is damaged.
        """
        return self.as_shown(self.stored(top, bottom))

    def as_shown(self, stored: np.ndarray) -> np.ndarray:
        """Turn rows that ``stored`` has read into those that ``shown`` gives."""
        if self.alpha == self.samples - 1:
            stored = stored[..., :-1]
        elif self.alpha is not None:
            stored = np.delete(stored, self.alpha, axis=2)
        return colours.convert(stored, self.photometric, self.limits, self.palette)


def _stored_slice(start: int, stop: int | None, length: int, is_turned_around: bool) -> slice:
    stop = length if stop is None else stop
    return slice(length - stop, length - start) if is_turned_around else slice(start, stop)


class Pages(list[Page]):
    """The pages of a file, and its structure."""

    def __init__(self, pages: Iterable[Page], structure: FileStructure):
        super().__init__(pages)
        self.structure = replace(structure, pixels=sum(page.height * page.width for page in self))
