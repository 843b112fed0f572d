"""The layouts of data sets: for each value of the option ``dataset``, how its samples are read, split and named.

A further layout is one entry of ``LAYOUTS``, and one of the choices of ``dataset`` in configs/default_config.yaml.
"""
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from src.data.folders import image_folders, side_by_side
from src.data.image_mask_pairs import Pair, PairReader
from src.data.reader import Reader
from src.data.sample_transforms import FolderTransform, Geometry, StackTransform, Transform
from src.data.splits import choose
from src.data.stacks import StackReader, fold_indices
from src.model_utils.errors import UNetError

TRAIN, VAL = "train", "val"     # folders


@dataclass(frozen=True)
class Source:
    """A data set, and how to read and split it.

    Attributes:
        dataset: name of its layout, see LAYOUTS.
        data_dir: its folder.
        num_channels: 1 for gray images, 3 for blue, green, red.
        num_classes: number of classes, the background included.
        split: fraction of the samples that trains; 1.0 reads the folders train and val, where the layout has them.
        fold: the fold that validates, where the layout has published folds.
        splits: path of a splits.json that is used instead of ``split`` and ``fold``; "" for none.
        cache_mb: memory in MB for samples, of training and of validation each.
    """
    dataset: str
    data_dir: str | Path
    num_channels: int = 1
    num_classes: int = 2
    split: float = 0.8
    fold: int = 1
    splits: str | Path = ""
    cache_mb: int = 0

    @property
    def layout(self) -> "Layout":
        """The layout of the data set."""
        return LAYOUTS[self.dataset]

    def open(self) -> Reader:
        """Open a reader of all samples.

        Raises:
            UNetError: the data set is missing, incomplete or damaged.
        """
        return self.layout.open(self)

    def divide(self, reader: Reader) -> tuple[list[int], list[int]]:
        """Return the indices of the samples that train, and of those that validate.

        Raises:
            UNetError: ``splits`` does not fit the data set, or the samples are too few for folds.
        """
        entries = [reader.entry(index, self.data_dir) for index in range(len(reader))]
        if self.splits:
            return choose(entries, self.splits)
        if self.layout.published_folds:
            train, valid = fold_indices(len(reader), self.fold)
            return train.tolist(), valid.tolist()
        if self.layout.validates_on_val(self.split):
            in_val = [entry.startswith(f"{VAL}/") for entry in entries]
            return ([index for index, is_valid in enumerate(in_val) if not is_valid],
                    [index for index, is_valid in enumerate(in_val) if is_valid])
        cut = int(len(reader) * self.split)
        return list(range(cut)), list(range(cut, len(reader)))


@dataclass(frozen=True)
class Layout:
    """One layout of data sets.

    Attributes:
        open: makes the reader of a Source.
        transform: makes the transform of the samples from the geometry, the lower end of the input range and the name
            of the augmentation policy.
        width_first: the options give sizes as [width, height], not as [height, width].
        val_folder: when the samples in the folder val validate: always, never, or if the option split is 1.0.
        published_folds: the option cross_valid_ind chooses one of the five published folds.
        input_stem: the inputs for other runtimes are STEM0.bin, STEM1.bin, ... with all labels in label.npy; without a
            stem they have the samples' names, and there is no label.npy.
    """
    open: Callable[[Source], Reader]
    transform: Callable[[Geometry, int, str], Transform]
    width_first: bool = False
    val_folder: Literal["never", "split 1.0", "always"] = "never"
    published_folds: bool = False
    input_stem: str = ""

    def validates_on_val(self, split: float) -> bool:
        """Return whether the samples in the folder val validate, all others train."""
        return self.val_folder == "always" or self.val_folder == "split 1.0" and split == 1.0


def _open_stacks(source: Source) -> Reader:
    if source.num_channels != 1:
        raise UNetError(f"num_channels {source.num_channels}: ISBI stacks are gray; set num_channels to 1")
    return StackReader(source.data_dir)


def paired_files(pairs_in: Callable[[Path], list[Pair]], in_train: bool = False,
                 val_folder: Literal["split 1.0", "always"] = "split 1.0") -> Layout:
    """Return a layout of image and mask files.

    Args:
        pairs_in: lists the pairs in a folder.
        in_train: without the folder val, the pairs are in the folder train; else in the data set's own folder.
        val_folder: see Layout.
    """
    def open_pairs(source: Source) -> Reader:
        root = Path(source.data_dir)
        if source.layout.validates_on_val(source.split):
            pairs = pairs_in(root / TRAIN) + pairs_in(root / VAL)
        else:
            pairs = pairs_in(root / TRAIN if in_train else root)
        return PairReader(pairs, source.num_channels, source.num_classes)

    return Layout(open_pairs, FolderTransform, width_first=True, val_folder=val_folder)


LAYOUTS = {
    "ISBI": Layout(_open_stacks, StackTransform, published_folds=True, input_stem="ISBI_test_bs_1_"),
    "Cell_nuclei": paired_files(image_folders),
    "COCO": paired_files(image_folders),
    "folders": paired_files(image_folders),
    "image_mask": paired_files(partial(side_by_side, masks="mask"), val_folder="always"),
    "membrane": paired_files(partial(side_by_side, masks="label"), in_train=True),
}
