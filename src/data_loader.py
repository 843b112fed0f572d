"""The model zoo's names for the data of ``src.data``: whole pipelines, and the steps of which users build their own.

Random numbers of the steps come from NumPy's own generator, so ``np.random.seed`` sets them.
"""
from pathlib import Path

import numpy as np

from src.data.class_values import IGNORED
from src.data.datasets import create_dataset, create_multi_class_dataset
from src.data.layouts import Source
from src.data.mask_pixels import MaskOptions, read_mask
from src.data.pipeline import COLUMNS
from src.data.sample_transforms import FolderTransform, Geometry, StackTransform
from src.data.stacks import fold_indices, read_stack
from src.data.transforms import channels_first, one_hot

__all__ = ["MultiClassDataset", "create_dataset", "create_multi_class_dataset", "data_post_process",
           "preprocess_img_mask", "train_data_augmentation"]


def _load_multipage_tiff(path: str | Path) -> np.ndarray:
    """Read (pages, height, width) uint8."""
    return read_stack(path)


def _get_val_train_indices(length: int, fold: int | None, ratio: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """Return training and validation indices of a fold, see ``fold_indices``; without a fold all of them train."""
    if fold is None:
        return fold_indices(length, 0, 1.0)
    return fold_indices(length, fold, ratio)


def data_post_process(img: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn an image (H, W) and its mask (H, W) from 0 to 1 into (1, H, W) and one-hot (2, H, W) float32."""
    return channels_first(img), one_hot(mask > 0.5, 2)


def train_data_augmentation(img: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply the published augmentation of ISBI slices to an image (H, W) from -1 to 1 and its mask from 0 to 1."""
    transform = StackTransform(Geometry.from_options(mask.shape))
    image, classes = transform.vary(img, (mask > 0.5).astype(np.uint8), _random())
    return image.astype(np.float32), classes.astype(mask.dtype)


class MultiClassDataset:
    """A source of rows for ``mindspore.dataset.GeneratorDataset``: images and masks of NAME/image.png, NAME/mask.png.

    ``dataset[i]`` is (image, mask) as the files hold them: (H, W, 3) blue, green, red, and (H, W), both uint8.

    Args:
        data_dir (str): the data set's folder.
        repeat (int): how often the training images come in it.
        is_train (bool): training images instead of validation images.
        split (float): fraction of the sorted names that trains; 1.0 reads ``train/`` and ``val/``.
        shuffle (bool): training images in random order.

    Raises:
        UNetError: no such folder, or files are missing or damaged.
    """

    def __init__(self, data_dir: str, repeat: int, is_train: bool = False, split: float = 0.8,
                 shuffle: bool = False) -> None:
        # Masks of many classes are not looked at before they are read.
        source = Source("folders", data_dir, num_channels=3, masks=MaskOptions(IGNORED), split=split)
        self._reader = source.open()
        train, valid = source.divide(self._reader)
        self._indices = train * repeat if is_train else valid
        if shuffle and is_train:
            np.random.shuffle(self._indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        index = self._indices[index]
        return self._reader.image(index).pixels, read_mask(self._reader.mask_files(index)[0]).numbers

    @property
    def column_names(self) -> list[str]:
        """Names of the two columns."""
        return list(COLUMNS)


def preprocess_img_mask(img: np.ndarray, mask: np.ndarray, num_classes: int, img_size: tuple[int, int],
                        augment: bool = False, eval_resize: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Turn a row of ``MultiClassDataset`` into the network's input and a one-hot label.

    Args:
        img (np.ndarray): (H, W, C) uint8.
        mask (np.ndarray): (H, W) class numbers; of two classes any two values, which are cut at half of the maximum.
        num_classes (int): number of classes.
        img_size (tuple): [width, height] of the results.
        augment (bool): apply a random scale, crop and flips.
        eval_resize (bool): without ``augment``, leave the label in the mask's own size.

    Returns:
        tuple: (C, height, width) float32 from -1 to 1, and (num_classes, height, width) float32.
    """
    classes = (mask > mask.max() / 2).astype(np.uint8) if num_classes == 2 else mask
    transform = FolderTransform(Geometry.from_options(img_size, width_first=True), num_classes=num_classes)
    if augment:
        image, label = transform.augmented(img, classes, _random())
    else:
        image, label = transform.plain(img, classes)
        label = classes if eval_resize else label
    return channels_first(image), one_hot(label, num_classes)


def _random() -> np.random.Generator:
    return np.random.default_rng(np.random.randint(2**32, dtype=np.uint64))
