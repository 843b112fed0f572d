"""The one reader of images, for training, checks, evaluation, prediction and masks.

It goes by a file's content, not by its ending. TIFF is read by tifffile, everything else by Pillow.
"""
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.data.channels import Channels, StoredImage
from src.data.image_formats import TIFF, format_of
from src.data.page import Pages
from src.data.pillow_pages import open_pillow_pages
from src.data.tiff_pages import open_tiff_pages
from src.model_utils.errors import UNetError

# A header can claim any size; larger pages are refused before memory is allocated.
MAX_SIDE = 20_000


@contextmanager
def open_pages(path: str | Path) -> Iterator[Pages]:
    """Yield the pages of an image file. Their pixels can be read while the file is open.

    Raises:
        UNetError: the file is missing, damaged or of a kind that is not read, or has a page that is too large.
    """
    path = Path(path)
    file_format = format_of(path)
    with open_tiff_pages(path) if file_format == TIFF else open_pillow_pages(path, file_format) as pages:
        for page in pages:
            check_size(path, page.height, page.width)
        yield pages


def count_pages(path: str | Path) -> int:
    """Count the pages of an image file without reading their pixels."""
    with open_pages(path) as pages:
        return len(pages)


def read_image(path: str | Path, channels: Channels, page: int = 0) -> StoredImage:
    """Read a page of an image file in the channels of a network, with the numbers of the file.

    Raises:
        UNetError: see ``open_pages``; also a file without this page, or with too few channels.
    """
    with open_pages(path) as pages:
        if page >= len(pages):
            raise UNetError(f"{path}: {len(pages)} pages found, page {page} (from 0) is asked for")
        return StoredImage(channels.read(pages[page]), pages[page].limits)


def check_size(path: Path, height: int, width: int) -> None:
    """Raise UNetError if a page is larger than those that are read."""
    if max(height, width) > MAX_SIDE:
        raise UNetError(f"{path}: a page of {width}x{height}; at most {MAX_SIDE} pixels a side are read")
