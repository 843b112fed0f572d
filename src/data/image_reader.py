"""Images without labels: PNG, JPEG, BMP and TIFF, one page or many, 8 and 16 bits, gray and colour."""
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from src.data.folders import IMAGE_FILE
from src.data.image_mask_pairs import IMAGE_ENDINGS, open_image, read_pixels, to_channels
from src.data.tiff import TIFF_ENDINGS, open_tiff
from src.model_utils.errors import UNetError
from src.model_utils.files import natural

# A header can claim any size; larger pages are refused before memory is allocated.
MAX_SIDE = 20_000
MAX_SAMPLES = 4         # red, green, blue and alpha

KINDS = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.RGB,
         tifffile.PHOTOMETRIC.PALETTE, tifffile.PHOTOMETRIC.YCBCR)


@dataclass(frozen=True)
class ImageFile:
    """An image file, and the name under which its results are written."""
    path: Path
    name: str

    @property
    def is_tiff(self) -> bool:
        """Whether the file is a TIFF; then its results are TIFF files too."""
        return self.path.suffix.lower() in TIFF_ENDINGS


def list_image_files(path: str | Path) -> list[ImageFile]:
    """List the images at ``path``, in the natural order of their paths.

    Args:
        path: a file, a folder of files, or a folder of folders NAME/image.png.

    Raises:
        UNetError: there is no image.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix.lower() not in IMAGE_ENDINGS:
            raise UNetError(f"{path}: expected an image ({', '.join(sorted(IMAGE_ENDINGS))})")
        return [ImageFile(path, path.stem)]
    if not path.is_dir():
        raise UNetError(f"no such file or folder: {path}; give images with --data_path")
    # macOS leaves files that begin with a dot beside those that it copies; they are no images.
    files = [file for file in path.glob("[!.]*") if file.is_file() and file.suffix.lower() in IMAGE_ENDINGS]
    images = _named(files) or [ImageFile(file, file.parent.name) for file in path.glob(f"[!.]*/{IMAGE_FILE}")]
    if not images:
        raise UNetError(f"{path}: no images found; expected {', '.join(sorted(IMAGE_ENDINGS))} files, or folders "
                        f"NAME/{IMAGE_FILE}")
    return sorted(images, key=lambda image: natural(image.path))


def _named(files: list[Path]) -> list[ImageFile]:
    """Name the files without their endings, but with them where two names would only differ in case or not at all."""
    stems = Counter(file.stem.lower() for file in files)
    names = {file.name.lower() for file in files}
    return [ImageFile(file, file.name if stems[file.stem.lower()] > 1 or file.stem.lower() in names else file.stem)
            for file in files]


def read_pages(image: ImageFile, num_channels: int) -> Iterator[np.ndarray]:
    """Read an image page by page.

    Args:
        image (ImageFile): the file.
        num_channels (int): 1 (gray) or 3 (blue, green, red).

    Yields:
        np.ndarray: (H, W, num_channels) uint8; of 16 bits the upper 8, as training reads them.

    Raises:
        UNetError: the file is damaged, is of a kind that is not read, or has a page that is too large.
    """
    if image.is_tiff:
        with open_tiff(image.path) as file:
            for page in file.pages:
                yield to_channels(_tiff_pixels(page, image.path), num_channels)
    else:
        yield to_channels(_read_image(image.path), num_channels)


def count_pages(image: ImageFile) -> int:
    """Count the pages without reading their pixels."""
    if not image.is_tiff:
        return 1
    with open_tiff(image.path) as file:
        return len(file.pages)


def check_size(path: Path, height: int, width: int) -> None:
    """Raise UNetError if a page is larger than those that are read."""
    if max(height, width) > MAX_SIDE:
        raise UNetError(f"{path}: a page of {width}x{height}; at most {MAX_SIDE} pixels a side are read")


def _tiff_pixels(page, path):
    """Read (H, W) gray or (H, W, 3) red, green, blue, uint8."""
    check_size(path, page.imagelength, page.imagewidth)
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
def _without_pillow_limit():
    """Lift Pillow's own limit, which is far below MAX_SIDE; ``check_size`` takes its place."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _read_image(path: Path) -> np.ndarray:
    with _without_pillow_limit(), open_image(path) as image:
        check_size(path, image.height, image.width)
        return read_pixels(image, path)
