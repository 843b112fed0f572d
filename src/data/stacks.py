"""Reader of the ISBI 2012 layout: two multi-page TIFF stacks, images and labels."""
from pathlib import Path

import numpy as np

from src.data.tiff import read_stack
from src.model_utils.errors import UNetError

IMAGE_STACK = "train-volume.tif"
LABEL_STACK = "train-labels.tif"
FOLDS = 5

# Rounding of float32 can move a mean of probabilities this far out of the range 0 to 1.
ROUNDING = 1e-5


def fold_indices(length: int, fold: int, ratio: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """Split ``length`` slices into training and validation slices of one of the five folds.

    The indices are shuffled with RandomState(0), rotated right by ``fold`` times the validation part, and
    cut at ``ratio``: the split of the published results.

    Returns:
        tuple: (training indices, validation indices), two int arrays.

    Raises:
        UNetError: fewer slices than folds.
    """
    if length < FOLDS:
        raise UNetError(f"{length} slices cannot be split into {FOLDS} folds; at least {FOLDS} slices are needed")
    indices = np.arange(length)
    np.random.RandomState(0).shuffle(indices)
    indices = np.roll(indices, fold * round((1.0 - ratio) * length))
    cut = round(ratio * length)
    return indices[:cut], indices[cut:]


class StackReader:
    """Reader of the slices of ``train-volume.tif`` with the classes of ``train-labels.tif``.

    ``reader[i]`` is (image, classes): (H, W) uint8 gray values and (H, W) uint8 classes, 0 = membrane,
    1 = cell.

    Raises:
        UNetError: no such folder, or stacks that are missing, damaged or of different shapes.
    """

    def __init__(self, data_dir: str | Path):
        self.folder = folder = Path(data_dir)
        if not folder.is_dir():
            raise UNetError(f"no such data folder: {folder}; give the folder that holds {IMAGE_STACK} and "
                            f"{LABEL_STACK} with --data_path")
        self.images = read_stack(folder / IMAGE_STACK)
        self.classes = read_classes(folder / LABEL_STACK)
        if self.classes.shape != self.images.shape:
            raise UNetError(f"{folder}: {IMAGE_STACK} holds {describe(self.images)}, {LABEL_STACK} holds "
                            f"{describe(self.classes)}; the two must agree")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.images[index], self.classes[index]

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of a slice."""
        height, width = self.images[index].shape
        return height, width

    def name(self, index: int) -> str:
        """Return the name of a slice."""
        return f"slice {index}"

    def entry(self, index: int, root: str | Path) -> str:
        """Return the name of a slice in splits.json."""
        return self.name(index)

    def kind(self, index: int) -> str:
        """Return how a slice is stored: always gray."""
        return "gray"

    def mask_values(self, index: int) -> np.ndarray:
        """Return the classes of a slice; the file has been checked to hold no other values."""
        return np.unique(self.classes[index])

    def folders(self) -> set[Path]:
        """Return the folder of the stacks."""
        return {self.folder}


def describe(stack: np.ndarray) -> str:
    """Return number and size of a stack's pages, for messages."""
    return f"{stack.shape[0]} pages of {stack.shape[2]}x{stack.shape[1]}"


def read_classes(path: str | Path) -> np.ndarray:
    """Read a stack of labels, 0 (membrane) and 255 (cell), or 0 and 1.

    Returns:
        np.ndarray: (pages, height, width) uint8 of 0 and 1.

    Raises:
        UNetError: see ``read_stack``; also other values.
    """
    labels = read_stack(path)
    values = np.unique(labels).tolist()
    if not (set(values) <= {0, 255} or set(values) <= {0, 1}):
        raise UNetError(f"{path}: label values {values[:6]}{'...' if len(values) > 6 else ''} found; expected "
                        f"0 (membrane) and 255 (cell), or 0 and 1; labels saved with loss (JPEG) cannot be used")
    return (labels > 0).astype(np.uint8)


def read_probabilities(path: str | Path) -> np.ndarray:
    """Read a stack of probabilities, as predict.py saves them.

    Returns:
        np.ndarray: (pages, height, width) float32 from 0 to 1, except for rounding.

    Raises:
        UNetError: see ``read_stack``; also other values.
    """
    stack = read_stack(path, np.float32)
    # "not (all inside)" instead of "any outside", so that NaN is refused too.
    if not ((stack >= -ROUNDING) & (stack <= 1 + ROUNDING)).all():
        raise UNetError(f"{path}: values from {stack.min()} to {stack.max()} found; expected probabilities, 0 to 1 "
                        f"(predict.py --save_probability=True writes such a stack)")
    return stack
