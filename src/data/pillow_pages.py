"""The page of a PNG, JPEG, BMP, GIF or WebP file, read by Pillow."""
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from src.data import colours
from src.data.file_structure import FileStructure, Resolution
from src.data.notices import say_once
from src.data.page import Page, Pages
from src.model_utils.errors import UNetError
from src.model_utils.inputs import MOST_IMAGE, open_input, read_input

_ORIENTATION = 274
INCH = 2        # unit of a Resolution
# Pillow's mode -> what its numbers mean, how many there are a pixel, and which of them is alpha.
_MODES: dict[str, tuple[str, int, int | None]] = {
    "1": (colours.GRAY, 1, None), "L": (colours.GRAY, 1, None), "LA": (colours.GRAY, 2, 1),
    "I;16": (colours.GRAY, 1, None), "I": (colours.GRAY, 1, None), "P": (colours.PALETTE, 1, None),
    "RGB": (colours.RGB, 3, None), "RGBA": (colours.RGB, 4, 3), "CMYK": (colours.CMYK, 4, None)}


@contextmanager
def open_pillow_pages(path: Path, file_format: str) -> Iterator[Pages]:
    """Yield the one page of a file; of an animation it is the first image.

    Raises:
        UNetError: the file is damaged, or of a kind that is not read.
    """
    with ExitStack() as stack:
        with _reading(path), _without_pillow_limit():
            file = stack.enter_context(open_input(path, MOST_IMAGE))
            # Only the decoder of this format: those of others run programs, such as Ghostscript for PostScript.
            image = stack.enter_context(Image.open(file, formats=[file_format]))
        with _reading(path):
            page = _page(image, path, file_format)
            resolution = _resolution(image)
            if resolution and page.is_turned:
                resolution = resolution.turned()
        yield Pages([page], FileStructure(resolution=resolution))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what Pillow raises about a damaged file into a UNetError; for calls of Pillow only."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")     # Pillow warns of damaged files; the error says enough
            yield
    except UNetError:
        raise
    # Pillow has no common base class for the errors of damaged files.
    except Exception as error:
        raise UNetError(f"{path}: cannot be read as an image, damaged or truncated ({type(error).__name__}: "
                        f"{str(error)[:100]})") from None


@contextmanager
def _without_pillow_limit() -> Iterator[None]:
    """Lift Pillow's own limit on the size of an image; the caller has one of its own."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _page(image: Image.Image, path: Path, file_format: str) -> Page:
    if image.mode not in _MODES:
        raise UNetError(f"{path}: pixels of kind {image.mode!r}, which are not read; save it with gray values or "
                        f"colours of 8 or 16 bits")
    tiles: list = getattr(image, "tile", [])    # the last entry of a PNG's is the kind of its numbers
    raw = str(tiles[0][3]) if tiles else ""
    has_16_bits = "16B" in raw
    photometric, samples, alpha = _MODES["LA" if raw == "LA;16B" else image.mode]   # which Pillow reads as RGBA
    bits = 16 if has_16_bits else 1 if image.mode == "1" else 8
    dtype = np.dtype({16: np.uint16, 1: bool}.get(bits, np.uint8))
    palette = None
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and file_format != "JPEG":
        say_once(path, "an animation, of which only the first image is read; save it as TIFF to read all",
                 is_warning=True)
    if "transparency" in image.info:
        say_once(path, "transparent pixels are read in their colours")

    @cache
    def decoded() -> np.ndarray:
        with _reading(path):
            return imagecodecs.png_decode(read_input(path, MOST_IMAGE)).reshape(image.height, image.width, samples)

    def pixels(rows: slice, columns: slice) -> np.ndarray:
        if has_16_bits and samples > 1:     # of colours, Pillow reads only the upper 8 bits
            return decoded()[rows, columns]
        with _reading(path), _without_pillow_limit():
            # Only this part becomes an array, for which Pillow needs the memory of several.
            box = columns.start, rows.start, columns.stop, rows.stop
            part = np.asarray(image if box == (0, 0, *image.size) else image.crop(box))
            return part.astype(dtype, copy=False).reshape(*part.shape[:2], samples)

    return Page(path, file_format, photometric, (image.height, image.width), samples, dtype, bits, pixels,
                _orientation(image, file_format), alpha, palette,
                file_format == "JPEG" or file_format == "WEBP" and not _is_lossless(path))


def _is_lossless(path: Path) -> bool:
    """Return whether a WebP file has the chunk of lossless pixels, which is near its beginning."""
    with open(path, "rb") as file:
        return b"VP8L" in file.read(4096)


def _orientation(image: Image.Image, file_format: str) -> int:
    # Without a chunk for it before the pixels, Pillow would decode a whole PNG to look for one behind them.
    exif = Image.Image.getexif(image) if file_format == "PNG" else image.getexif()
    value = exif.get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _resolution(image: Image.Image) -> Resolution | None:
    dpi = image.info.get("dpi")
    return Resolution(float(dpi[0]), float(dpi[1]), INCH) if dpi and min(dpi) > 0 else None
