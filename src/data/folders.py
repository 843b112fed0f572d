"""Reader of the folder layout: one folder an image, ``NAME/image.png`` and ``NAME/mask.png``."""
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from src.model_utils.errors import UNetError

IMAGE_FILE = "image.png"
MASK_FILE = "mask.png"


def list_pairs(data_dir, split):
    """List the image folders that train and those that validate.

    Args:
        data_dir (str): the data set's folder.
        split (float): fraction of the sorted names that trains, the rest validates; 1.0 lists the folders
            ``train`` and ``val`` inside ``data_dir``.

    Returns:
        tuple: (training folders, validation folders), two lists of Path sorted by name.
    """
    folder = Path(data_dir)
    if split == 1.0:
        return _image_folders(folder / "train"), _image_folders(folder / "val")
    names = _image_folders(folder)
    cut = int(len(names) * split)
    return names[:cut], names[cut:]


def _image_folders(folder):
    if not folder.is_dir():
        raise UNetError(f"no such data folder: {folder}; give the folder that holds NAME/{IMAGE_FILE} and "
                        f"NAME/{MASK_FILE} with --data_path (with split 1.0 below train/ and val/)")
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    if not folders:
        raise UNetError(f"{folder}: no image folders; expected NAME/{IMAGE_FILE} and NAME/{MASK_FILE}")
    for path in folders:
        for file in (IMAGE_FILE, MASK_FILE):
            if not (path / file).is_file():
                raise UNetError(f"{path}: {file} is missing; each image folder holds {IMAGE_FILE} and {MASK_FILE}")
    return folders


class FolderReader:
    """Image folders, read when they are asked for.

    ``reader[i]`` is (image, classes): (H, W, channels) uint8 as OpenCV reads it (BGR, or gray for one
    channel), and (H, W) uint8 classes.

    Args:
        folders (list[Path]): one an image.
        num_channels (int): 1 or 3.
        num_classes (int): classes, the background included.
    """

    def __init__(self, folders, num_channels, num_classes):
        self.folders = folders
        self.num_channels = num_channels
        self.num_classes = num_classes

    def __len__(self):
        return len(self.folders)

    def __getitem__(self, index):
        folder = self.folders[index]
        with open_image(folder / IMAGE_FILE) as file:
            image = to_channels(read_pixels(file), self.num_channels)
        mask = _read_mask(folder / MASK_FILE)
        if image.shape[:2] != mask.shape:
            raise UNetError(f"{folder}: {IMAGE_FILE} is {image.shape[1]}x{image.shape[0]}, {MASK_FILE} is "
                            f"{mask.shape[1]}x{mask.shape[0]}; the two must have one size")
        return image, self._to_classes(mask, folder / MASK_FILE)

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
        with open_image(self.folders[index] / IMAGE_FILE) as file:
            return file.height, file.width

    def name(self, index):
        """Name of an image, for messages and tables."""
        return self.folders[index].name


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
        if image.mode.startswith(("I", "F")):
            raise UNetError(f"{path}: pixels of kind {image.mode!r} found; masks have 8 bits")
        return np.asarray(image if image.mode == "P" else image.convert("L"))
