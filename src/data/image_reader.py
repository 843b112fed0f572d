"""Pictures without labels: PNG, JPEG, BMP and TIFF, one page or many, 8 and 16 bits, gray and colour."""
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from src.data.folders import IMAGE_FILE
from src.data.image_mask_pairs import open_image, read_pixels, to_channels
from src.data.tiff import open_tiff
from src.model_utils.errors import UNetError
from src.model_utils.files import natural

TIFF_ENDINGS = {".tif", ".tiff"}
ENDINGS = {".png", ".jpg", ".jpeg", ".bmp"} | TIFF_ENDINGS

# A header can claim any size; nothing is allocated for a page beyond this.
MAX_SIDE = 20_000
MAX_SAMPLES = 4         # red, green, blue and alpha

KINDS = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.RGB,
         tifffile.PHOTOMETRIC.PALETTE, tifffile.PHOTOMETRIC.YCBCR)


@dataclass(frozen=True)
class Picture:
    """A file, and the name under which its results are written."""
    path: Path
    name: str

    @property
    def is_tiff(self):
        """Whether the file is a TIFF, whose results are TIFF too."""
        return self.path.suffix.lower() in TIFF_ENDINGS


def list_pictures(path):
    """The pictures at ``path``: a file, or a folder of files, or of folders NAME/image.png; in the order of names.

    Raises:
        UNetError: there is none.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix.lower() not in ENDINGS:
            raise UNetError(f"{path}: expected a picture ({', '.join(sorted(ENDINGS))})")
        return [Picture(path, path.stem)]
    if not path.is_dir():
        raise UNetError(f"no such file or folder: {path}; give pictures with --data_path")
    # What begins with a dot is no picture: macOS leaves such files beside those that it copies.
    files = [file for file in path.glob("[!.]*") if file.is_file() and file.suffix.lower() in ENDINGS]
    pictures = _named(files) or [Picture(file, file.parent.name) for file in path.glob(f"[!.]*/{IMAGE_FILE}")]
    if not pictures:
        raise UNetError(f"{path}: no pictures found; expected {', '.join(sorted(ENDINGS))} files, or folders "
                        f"NAME/{IMAGE_FILE}")
    return sorted(pictures, key=lambda picture: natural(picture.path))


def _named(files):
    """Pictures under their files' names: without the ending where that is the name of no other, in any case."""
    stems = Counter(file.stem.lower() for file in files)
    names = {file.name.lower() for file in files}
    return [Picture(file, file.name if stems[file.stem.lower()] > 1 or file.stem.lower() in names else file.stem)
            for file in files]


def read_pages(picture, num_channels):
    """Read a picture page by page.

    Args:
        picture (Picture): the file.
        num_channels (int): 1 (gray) or 3 (blue, green, red).

    Yields:
        np.ndarray: (H, W, num_channels) uint8; of 16 bits the upper 8, as training reads them.

    Raises:
        UNetError: an unreadable or damaged file, a kind of picture that is not read, or a page too large.
    """
    if picture.is_tiff:
        with open_tiff(picture.path) as file:
            for page in file.pages:
                check_size(picture.path, page.imagelength, page.imagewidth)
                yield to_channels(_tiff_pixels(page, picture.path), num_channels)
    else:
        yield to_channels(_read_image(picture.path), num_channels)


def count_pages(picture):
    """Number of pages, from the file's structure alone."""
    if not picture.is_tiff:
        return 1
    with open_tiff(picture.path) as file:
        return len(file.pages)


def check_size(path, height, width):
    """Raise UNetError where a header claims more than is read."""
    if max(height, width) > MAX_SIDE:
        raise UNetError(f"{path}: a page of {width}x{height}; at most {MAX_SIDE} pixels a side are read")


def _tiff_pixels(page, path):
    """(H, W) gray or (H, W, 3) red, green, blue, uint8."""
    kind = tifffile.PHOTOMETRIC(page.photometric)
    # Before the pixels are read: a header can claim any number of samples.
    if (page.dtype not in (bool, np.uint8, np.uint16) or page.samplesperpixel > MAX_SAMPLES or page.imagedepth != 1
            or kind not in KINDS):
        raise UNetError(f"{path}: pixels of {page.dtype}, shape {page.shape}, {kind.name}; expected gray or colour "
                        f"of 8 or 16 bits")
    pixels = page.asarray()
    if pixels.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if kind == tifffile.PHOTOMETRIC.PALETTE:
        pixels = np.moveaxis(page.colormap, 0, -1)[pixels]
    if kind == tifffile.PHOTOMETRIC.MINISWHITE:
        pixels = np.iinfo(pixels.dtype).max - pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 3:
        pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., 0]     # without the alpha channel
    return pixels


@contextmanager
def _large_pictures():
    """Pillow refuses pictures far smaller than MAX_SIDE; here the header is checked before the pixels are read."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _read_image(path):
    with _large_pictures(), open_image(path) as image:
        check_size(path, image.height, image.width)
        return read_pixels(image)
