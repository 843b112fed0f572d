"""Images and their masks, each in a file of its own."""
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from src.data.tiff import TIFF_ENDINGS
from src.model_utils.errors import UNetError

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp"} | TIFF_ENDINGS


@dataclass(frozen=True)
class Pair:
    """An image, its mask, and the name under which both are reported."""
    name: str
    image: Path
    mask: Path

    def path_below(self, root: str | Path) -> str:
        """Return the image's path below the data set's folder, which is unique in the data set."""
        return self.image.relative_to(root).as_posix()


class PairReader:
    """Reader of images and masks in files.

    ``reader[i]`` is (image, classes): (H, W, channels) uint8 as OpenCV reads it (blue, green, red, or gray for one
    channel), and (H, W) uint8 class numbers.

    Args:
        pairs (Sequence[Pair]): the files.
        num_channels (int): 1 or 3.
        num_classes (int): number of classes, the background included.
    """

    def __init__(self, pairs: Sequence[Pair], num_channels: int, num_classes: int):
        self.pairs = pairs
        self.num_channels = num_channels
        self.num_classes = num_classes

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        pair = self.pairs[index]
        with open_image(pair.image) as file:
            image = to_channels(read_pixels(file, pair.image), self.num_channels)
        mask = _read_mask(pair.mask)
        if image.shape[:2] != mask.shape:
            raise UNetError(f"{pair.image} is {image.shape[1]}x{image.shape[0]}, its {pair.mask.name} is "
                            f"{mask.shape[1]}x{mask.shape[0]}; the two must have one size")
        return image, self._to_classes(mask, pair.mask)

    def _to_classes(self, mask: np.ndarray, path: Path) -> np.ndarray:
        if self.num_classes == 2:
            # Masks of two classes come as 0/1, 0/255 or drawn with soft edges: cut at half of the maximum.
            return (mask > mask.max() / 2).astype(np.uint8)
        if mask.max() >= self.num_classes:
            beyond = np.unique(mask[mask >= self.num_classes]).tolist()
            raise UNetError(f"{path}: mask values {beyond[:6]} found, but num_classes is {self.num_classes}; masks "
                            f"of many classes hold class numbers 0 to {self.num_classes - 1}")
        return mask

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of an image, from its file's header."""
        with open_image(self.pairs[index].image) as file:
            return file.height, file.width

    def name(self, index: int) -> str:
        """Return the name of a pair."""
        return self.pairs[index].name

    def entry(self, index: int, root: str | Path) -> str:
        """Return the image's path below ``root``, the data set's folder."""
        return self.pairs[index].path_below(root)

    def kind(self, index: int) -> str:
        """Return Pillow's mode of an image, such as RGB."""
        with open_image(self.pairs[index].image) as file:
            return file.mode

    def mask_values(self, index: int) -> np.ndarray:
        """Return the values in a mask's file."""
        return np.unique(_read_mask(self.pairs[index].mask))

    def folders(self) -> set[Path]:
        """Return the folders of the files."""
        return {path.parent for pair in self.pairs for path in (pair.image, pair.mask)}


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Yield Pillow's image of ``path``.

    Raises:
        UNetError: the file cannot be opened, or is found to be damaged while its pixels are read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")     # Pillow warns of damaged files; the error says enough
            with Image.open(path) as image:
                yield image
    except UNetError:
        raise
    # Pillow has no common base class for the errors of damaged files.
    except Exception as error:
        raise UNetError(f"{path}: cannot be read as an image, damaged or truncated ({type(error).__name__}: "
                        f"{str(error)[:100]})") from None


def read_pixels(image: Image.Image, path: Path) -> np.ndarray:
    """Read the pixels of Pillow's image of ``path``.

    Returns:
        np.ndarray: (H, W) gray or (H, W, 3) red, green, blue, uint8; of 16 bits the upper 8.

    Raises:
        UNetError: pixels are floating-point numbers.
    """
    if image.mode.startswith("F"):
        raise UNetError(f"{path}: pixels of kind {image.mode!r} (floats) found; expected 8 or 16 bits")
    if image.mode.startswith("I"):
        return (np.asarray(image) >> 8).astype(np.uint8)
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    return np.asarray(image if image.mode == mode else image.convert(mode))     # convert() always copies


def to_channels(pixels: np.ndarray, num_channels: int) -> np.ndarray:
    """Turn (H, W) gray or (H, W, 3) red, green, blue into (H, W, num_channels) gray, or blue, green, red; uint8."""
    if num_channels == 1:
        return (pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L")))[..., None]
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])


def _read_mask(path: Path) -> np.ndarray:
    """Read (H, W) uint8: gray values, or the numbers of a palette's colours."""
    with open_image(path) as image:
        if image.format == "JPEG":
            raise UNetError(f"{path}: a JPEG file, whose compression changes class numbers; save the masks as PNG")
        if image.mode.startswith(("I", "F")):
            raise UNetError(f"{path}: pixels of kind {image.mode!r} found; masks have 8 bits")
        return np.asarray(image if image.mode == "P" else image.convert("L"))
