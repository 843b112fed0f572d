"""Reader of the folder layout: one folder an image, ``NAME/image.png`` and ``NAME/mask.png``."""
from pathlib import Path

import cv2
import numpy as np

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
    """

    def __init__(self, folders, num_channels, num_classes):
        self.folders = folders
        self.num_channels = num_channels
        self.num_classes = num_classes

    def __len__(self):
        return len(self.folders)

    def __getitem__(self, index):
        folder = self.folders[index]
        image = _read(folder / IMAGE_FILE, cv2.IMREAD_GRAYSCALE if self.num_channels == 1 else cv2.IMREAD_COLOR)
        mask = _read(folder / MASK_FILE, cv2.IMREAD_GRAYSCALE)
        if image.shape[:2] != mask.shape:
            raise UNetError(f"{folder}: {IMAGE_FILE} is {image.shape[1]}x{image.shape[0]}, {MASK_FILE} is "
                            f"{mask.shape[1]}x{mask.shape[0]}; the two must have one size")
        return image.reshape(*mask.shape, self.num_channels), self._to_classes(mask, folder / MASK_FILE)

    def _to_classes(self, mask, path):
        if self.num_classes == 2:
            # Masks of two classes come as 0/1, 0/255 or drawn with soft edges: cut at half of the maximum.
            return (mask > mask.max() / 2).astype(np.uint8)
        if mask.max() >= self.num_classes:
            beyond = np.unique(mask[mask >= self.num_classes]).tolist()
            raise UNetError(f"{path}: mask values {beyond[:6]} found, but num_classes is {self.num_classes}; masks "
                            f"of many classes hold class numbers 0 to {self.num_classes - 1}")
        return mask

    def name(self, index):
        """Name of an image, for messages and tables."""
        return self.folders[index].name


def _read(path, flags):
    try:
        image = cv2.imread(str(path), flags)
    except cv2.error as error:
        raise UNetError(f"{path}: cannot be read as an image: {str(error)[:120]}") from None
    if image is None:
        raise UNetError(f"{path}: cannot be read as an image, damaged or truncated")
    return image
