"""Pictures and their masks, each in a file of its own."""
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from src.model_utils.errors import UNetError


@dataclass(frozen=True)
class Pair:
    """A picture, its mask, and the name under which both are reported."""
    name: str
    image: Path
    mask: Path

    def path_below(self, root):
        """The picture's path below the data set's folder, which tells it from all others."""
        return self.image.relative_to(root).as_posix()


class PairReader:
    """Pictures and masks, read when they are asked for.

    ``reader[i]`` is (image, classes): (H, W, channels) uint8 as OpenCV reads it (BGR, or gray for one
    channel), and (H, W) uint8 classes.

    Args:
        pairs (list[Pair]): the files.
        num_channels (int): 1 or 3.
        num_classes (int): classes, the background included.
        cache_mb (int): memory in MB (10^6 bytes) in which decoded pairs are kept, the first that come.
    """

    def __init__(self, pairs, num_channels, num_classes, cache_mb=0):
        self.pairs = pairs
        self.kept, self.free = {}, cache_mb * 10**6
        self.num_channels = num_channels
        self.num_classes = num_classes

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        index = int(index)
        if index not in self.kept:
            item = self._read(index)
            size = item[0].nbytes + item[1].nbytes
            if self.free < size:
                return item
            self.kept[index], self.free = item, self.free - size
        return self.kept[index]

    def _read(self, index):
        pair = self.pairs[index]
        with open_image(pair.image) as file:
            image = to_channels(read_pixels(file), self.num_channels)
        mask = _read_mask(pair.mask)
        if image.shape[:2] != mask.shape:
            raise UNetError(f"{pair.image} is {image.shape[1]}x{image.shape[0]}, its {pair.mask.name} is "
                            f"{mask.shape[1]}x{mask.shape[0]}; the two must have one size")
        return image, self._to_classes(mask, pair.mask)

    def _to_classes(self, mask, path):
        if self.num_classes == 2:
            # Masks of two classes come as 0/1, 0/255 or drawn with soft edges: cut at half of the maximum.
            return (mask > mask.max() / 2).astype(np.uint8)
        if mask.max() >= self.num_classes:
            beyond = np.unique(mask[mask >= self.num_classes]).tolist()
            raise UNetError(f"{path}: mask values {beyond[:6]} found, but num_classes is {self.num_classes}; masks "
                            f"of many classes hold class numbers 0 to {self.num_classes - 1}")
        return mask

    def size(self, index):
        """(height, width) of an image, from its file's header."""
        with open_image(self.pairs[index].image) as file:
            return file.height, file.width

    def name(self, index):
        """Name of an image, for messages and tables."""
        return self.pairs[index].name

    def entry(self, index, root):
        """Name of an image in splits.json: its path below ``root``, the data set's folder."""
        return self.pairs[index].path_below(root)

    def kind(self, index):
        """How the image is stored: Pillow's mode, such as RGB."""
        with open_image(self.pairs[index].image) as file:
            return file.mode

    def levels(self, index):
        """The values in its mask's file."""
        return np.unique(_read_mask(self.pairs[index].mask))


@contextmanager
def open_image(path):
    """Yield Pillow's image of ``path``; whatever is wrong with it, also while it is read, ends in a UNetError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")     # what Pillow remarks on a damaged file; the error says enough
            with Image.open(path) as image:
                yield image
    except UNetError:
        raise
    # Pillow has no common base for what a damaged file raises.
    except Exception as error:
        raise UNetError(f"{path}: cannot be read as an image, damaged or truncated ({type(error).__name__}: "
                        f"{str(error)[:100]})") from None


def read_pixels(image):
    """Pixels of Pillow's image: (H, W) gray or (H, W, 3) red, green, blue, uint8; of 16 bits the upper 8."""
    if image.mode.startswith("F"):
        raise UNetError(f"{image.filename}: pixels of kind {image.mode!r} (floats) found; pictures have 8 or 16 bits")
    if image.mode.startswith("I"):
        return (np.asarray(image) >> 8).astype(np.uint8)
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    return np.asarray(image if image.mode == mode else image.convert(mode))     # convert copies in any case


def to_channels(pixels, num_channels):
    """(H, W) gray or (H, W, 3) red, green, blue -> (H, W, num_channels) gray, or blue, green, red; uint8."""
    if num_channels == 1:
        return (pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L")))[..., None]
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])


def _read_mask(path):
    """(H, W) uint8: gray values, or the numbers of a palette's colours."""
    with open_image(path) as image:
        if image.format == "JPEG":
            raise UNetError(f"{path}: a JPEG file; masks that were saved with loss cannot be used, make them again as "
                            f"PNG")
        if image.mode.startswith(("I", "F")):
            raise UNetError(f"{path}: pixels of kind {image.mode!r} found; masks have 8 bits")
        return np.asarray(image if image.mode == "P" else image.convert("L"))
