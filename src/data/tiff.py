"""Multi-page TIFF files: stacks of 8-bit gray images, and of probabilities."""
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from src.model_utils.errors import UNetError
from src.model_utils.files import write_atomically

# A header can claim any size; larger stacks are refused before memory is allocated.
MAX_PIXELS = 10**9

KINDS: dict[type, str] = {np.uint8: "8-bit gray", np.float32: "32-bit float"}
TIFF_ENDINGS = {".tif", ".tiff"}


def read_stack(path: str | Path, dtype: type = np.uint8) -> np.ndarray:
    """Read a multi-page TIFF of one channel.

    Args:
        path (Path): the file.
        dtype (type): expected kind of the pixels, np.uint8 or np.float32.

    Returns:
        np.ndarray: (pages, height, width) of ``dtype``.

    Raises:
        UNetError: the file is missing, unreadable or truncated, has pixels of another kind, or pages of different
            sizes.
    """
    path = Path(path)
    if not path.is_file():
        raise UNetError(f"no such stack: {path}; expected a multi-page {KINDS[dtype]} TIFF")
    with open_tiff(path) as file:
        return _read_pages(file, path, dtype)


@contextmanager
def open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """Yield the ``tifffile.TiffFile`` of ``path``.

    Raises:
        UNetError: the file cannot be opened, or is found to be damaged while its pages are read.
    """
    log = _ErrorLog()
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(log)
    try:
        with tifffile.TiffFile(path) as file:
            yield file
        # tifffile reads a damaged file as far as it can, and only logs what is wrong.
        if log.messages:
            raise ValueError(log.messages[0])
    except UNetError:
        raise
    # The decoders have no common base class for the errors of damaged files.
    except Exception as error:
        raise UNetError(f"{path}: not a readable TIFF file, damaged or truncated "
                        f"({type(error).__name__}: {str(error)[:120]})") from None
    finally:
        logger.removeHandler(log)
        logger.propagate = propagate


class _ErrorLog(logging.Handler):
    """Collects the errors that tifffile logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _read_pages(file, path, dtype):
    pages = list(file.pages)
    shape = pages[0].shape
    if len(pages) * int(np.prod(shape, dtype=object)) > MAX_PIXELS:
        raise UNetError(f"{path}: the header claims {len(pages)} pages of {_size(shape)}; at most {MAX_PIXELS} pixels "
                        f"are read")
    for number, page in enumerate(pages, 1):
        if page.dtype != dtype or page.ndim != 2 or page.photometric != tifffile.PHOTOMETRIC.MINISBLACK:
            kind = "x".join(map(str, page.shape[2:])) or "1"
            raise UNetError(f"{path}: page {number} has {kind} channel(s) of {page.dtype} ({page.photometric.name}); "
                            f"expected {KINDS[dtype]} (1 channel of {dtype.__name__}, MINISBLACK)")
        if page.shape != shape:
            raise UNetError(f"{path}: page {number} is {_size(page.shape)}, page 1 is {_size(shape)}; all pages must "
                            f"have one size")
        if 0 in page.databytecounts:
            raise UNetError(f"{path}: page {number} has no pixel data; the file is damaged")
    stack = np.empty((len(pages), *shape), dtype)
    for number, page in enumerate(pages):
        page.asarray(out=stack[number])
    return stack


def _size(shape):
    return f"{shape[1]}x{shape[0]}"


def write_stack(path: str | Path, stack: np.ndarray) -> None:
    """Write (pages, height, width) uint8 as a multi-page TIFF, deflated, whole or not at all.

    Raises:
        UNetError: the file cannot be written.
    """
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, stack, photometric="minisblack", compression="zlib")
    write_atomically(path, buffer.getvalue())
