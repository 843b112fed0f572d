"""TIFF files: opening them, and what is wrong with damaged ones."""
import io
import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from src.data.notices import say_once
from src.model_utils.errors import UNetError
from src.model_utils.files import write_atomically

MOST_PAGES = 100_000

# What tifffile logs of its own metadata if they do not fit the pages, because another program has changed these.
_METADATA = re.compile(r"shaped series")
# What it logs of a tag that cannot be read, which it leaves out.
_TAG = re.compile(r"TiffTag (\d+) @")
# Tags of no use for the pixels: texts, and from 32768 on private tags, but those that say which pixels there are (depth
# of images and tiles, LERC, MetaMorph's planes, and the upper halves of the offsets of NDPI).
_TEXTS = {269, 271, 272, 285, 305, 306, 315, 316, 700}
_PRIVATE = 32768
_OF_PIXELS = {32997, 32998, 33628, 33629, 33630, 33631, 50674, 65420}
UNFIT = "its description does not fit its pages, which are read as they are"


@contextmanager
def reading_tiff(path: Path) -> Iterator[None]:
    """Turn what tifffile raises or logs about a damaged file into a UNetError; for calls of tifffile only."""
    log = _ErrorLog()
    library = logging.getLogger("tifffile")
    propagate, library.propagate = library.propagate, False
    library.addHandler(log)
    try:
        yield
        # tifffile reads a damaged file as far as it can, and only logs what is wrong.
        for message in log.messages:
            say_once(path, _harmless(message), is_warning=True)
    except UNetError:
        raise
    # The decoders have no common base class for the errors of damaged files.
    except Exception as error:
        raise UNetError(f"{path}: not a readable TIFF file, damaged or truncated "
                        f"({type(error).__name__}: {str(error)[:120]})") from None
    finally:
        library.removeHandler(log)
        library.propagate = propagate


def _harmless(message: str) -> str:
    """Return what to say of a fault that leaves the pixels readable. Raises ValueError for all others."""
    if _METADATA.search(message):
        return UNFIT
    tag = _TAG.search(message)
    code = int(tag[1]) if tag else 0
    if code in _TEXTS or code >= _PRIVATE and code not in _OF_PIXELS:
        return f"its tag {code} is damaged and left out; the pixels can be read"
    raise ValueError(message)


class _ErrorLog(logging.Handler):
    """Collects the errors that tifffile logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """Yield the ``tifffile.TiffFile`` of ``path``. Other files, which its metadata may name, are not opened.

    Raises:
        UNetError: the file cannot be opened, or has too many pages.
    """
    with reading_tiff(path):
        file = tifffile.TiffFile(path, _multifile=False)
        file.is_mmstack = file.is_ndtiff = False
    with file:
        with reading_tiff(path):
            # Counting takes no time. What takes it is to read their headers, and to list what OME's metadata claim.
            count = max(len(file.pages), _pages_of_ome(file.ome_metadata or ""))
        if count > MOST_PAGES:
            raise UNetError(f"{path}: {count} pages; at most {MOST_PAGES} are read")
        yield file


def _pages_of_ome(xml: str) -> int:
    """Return the number of pages that OME's metadata claim, 0 for none."""
    try:
        images = [item.attrib for item in ElementTree.fromstring(xml).iter() if item.tag.endswith("Pixels")]
    except ElementTree.ParseError:      # tifffile reads the file without them
        return 0
    return sum(math.prod(abs(int(sizes.get(f"Size{axis}", 1))) for axis in "TCZ") for sizes in images)


def write_stack(path: str | Path, stack: np.ndarray) -> None:
    """Write (pages, height, width) uint8 or uint16, or one page of them, as a TIFF file, deflated, whole or not at all.

    Raises:
        UNetError: the file cannot be written.
    """
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, stack, photometric="minisblack", compression="zlib")
    write_atomically(path, buffer.getvalue())
