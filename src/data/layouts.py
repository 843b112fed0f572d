"""The layouts of data sets: for each value of the option ``dataset``, how its samples are read, split and named.

A further layout is one entry of ``LAYOUTS``, and one of the choices of ``dataset`` in configs/default_config.yaml.
"""
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from src.data.channels import Channels
from src.data.folders import FileNames, image_folders, side_by_side, with_pages
from src.data.image_mask_pairs import Pair, PairReader
from src.data.mask_pixels import MaskOptions
from src.data.normalization import Normalization
from src.data.reader import Samples, StoredReader
from src.data.sample_transforms import FolderTransform, Geometry, ResizingTransform, StackTransform
from src.data.splits import choose
from src.data.stacks import StackReader, fold_indices
from src.model_utils.errors import UNetError

logger = logging.getLogger("unet")

TRAIN, VAL = "train", "val"     # folders


@dataclass(frozen=True)
class Source:
    """A data set, and how to read and split it.

    Attributes:
        dataset: name of its layout, see LAYOUTS.
        data_dir: its folder.
        num_channels: channels of the images, see ``src.data.channels``.
        masks: what the options say about masks, such as the number of classes.
        names: names of folders and files that are not those of the layout.
        split: fraction of the samples that trains; 1.0 reads the folders train and val, where the layout has them.
        fold: the fold that validates, where the layout has published folds.
        splits: path of a splits.json that is used instead of ``split`` and ``fold``; "" for none.
        cache_mb: memory in MB for samples, of training and of validation each.
        picked: bands of the files that become the channels; empty takes them as num_channels says.
    """
    dataset: str
    data_dir: str | Path
    num_channels: int = 1
    masks: MaskOptions = MaskOptions()
    names: FileNames = FileNames()
    split: float = 0.8
    fold: int = 1
    splits: str | Path = ""
    cache_mb: int = 0
    picked: tuple[int, ...] = ()

    @property
    def channels(self) -> Channels:
        """The channels of the images."""
        return Channels(self.num_channels, self.picked)

    @property
    def layout(self) -> "Layout":
        """The layout of the data set."""
        return LAYOUTS[self.dataset]

    @property
    def validates_on_val(self) -> bool:
        """Whether the samples in the folder val validate, and all others train."""
        if self.layout.val_folder == "if there":
            return any((Path(self.data_dir) / folder).is_dir() for folder in (TRAIN, VAL))
        return self.layout.val_folder == "split 1.0" and self.split == 1.0

    def open(self) -> StoredReader:
        """Open a reader of all samples.

        Raises:
            UNetError: the data set is missing, incomplete or damaged, or its masks cannot be understood.
        """
        if replace(self.names, skip_unpaired=False) != FileNames() and not self.layout.side_by_side:
            raise UNetError(f"image_dir, mask_dir, image_suffix and mask_suffix are for images and masks side by side "
                            f"(dataset {' or '.join(name for name in LAYOUTS if LAYOUTS[name].side_by_side)}), and "
                            f"dataset is {self.dataset}")
        return self.layout.open(self)

    def divide(self, reader: Samples) -> tuple[list[int], list[int]]:
        """Return the indices of the samples that train, and of those that validate.

        Raises:
            UNetError: ``splits`` does not fit the data set, or the samples are too few for folds.
        """
        entries = [reader.entry(index, self.data_dir) for index in range(len(reader))]
        if self.splits:
            return choose(entries, self.splits)
        if self.layout.published_folds:
            train, valid = fold_indices(len(reader), self.fold, where=self.data_dir)
            return train.tolist(), valid.tolist()
        if self.validates_on_val:
            in_val = [entry.startswith(f"{VAL}/") for entry in entries]
            return ([index for index, is_valid in enumerate(in_val) if not is_valid],
                    [index for index, is_valid in enumerate(in_val) if is_valid])
        cut = _between_files(entries, int(len(reader) * self.split))
        return list(range(cut)), list(range(cut, len(reader)))


def file_of(entry: str) -> str:
    """Return the file of a name in splits.json: that of NAME[page] is NAME."""
    return re.sub(r"\[\d+\]$", "", entry)


def _between_files(entries: list[str], cut: int) -> int:
    """Return the place nearest to ``cut`` at which a file with several pages is not divided, if there is one.

    Pages of one file are often alike, and would make the score too good.
    """
    places = [place for place in range(1, len(entries)) if file_of(entries[place - 1]) != file_of(entries[place])]
    if not 0 < cut < len(entries) or cut in places:
        return cut
    if not places:
        logger.warning("WARNING: pages of one file both train and validate, which makes the score too good")
    return min(places, key=lambda place: abs(place - cut), default=cut)


@dataclass(frozen=True)
class Layout:
    """One layout of data sets.

    Attributes:
        open: makes the reader of a Source.
        transform: makes the transform of the samples from the geometry, the normalization, the name
            of the augmentation policy and the number of classes.
        width_first: the options give sizes as [width, height], not as [height, width].
        val_folder: when the samples in the folder val validate: never, if the option split is 1.0, or if there is a
            folder train or val.
        side_by_side: images and masks are in two folders, whose names and files' suffixes are options.
        published_folds: the option cross_valid_ind chooses one of the five published folds.
        input_stem: the inputs for other runtimes are STEM0.bin, STEM1.bin, ... with all labels in label.npy; without a
            stem they have the samples' names, and there is no label.npy.
    """
    open: Callable[[Source], StoredReader]
    transform: Callable[[Geometry, Normalization, str, int], ResizingTransform]
    width_first: bool = False
    val_folder: Literal["never", "split 1.0", "if there"] = "never"
    side_by_side: bool = False
    published_folds: bool = False
    input_stem: str = ""


def paired_files(pairs_in: Callable[[Path, FileNames], list[Pair]], in_train: bool = False,
                 val_folder: Literal["split 1.0", "if there"] = "split 1.0", side_by_side: bool = False) -> Layout:
    """Return a layout of image and mask files.

    Args:
        pairs_in: lists the pairs in a folder, given the names that the options say.
        in_train: without the folder val, the pairs are in the folder train; else in the data set's own folder.
        val_folder, side_by_side: see Layout.
    """
    def open_pairs(source: Source) -> StoredReader:
        root = Path(source.data_dir)
        folders = [root / TRAIN, root / VAL] if source.validates_on_val else [root / TRAIN if in_train else root]
        pairs = [pair for folder in folders for pair in pairs_in(folder, source.names)]
        return PairReader(with_pages(pairs), source.channels, source.masks)

    return Layout(open_pairs, FolderTransform, width_first=True, val_folder=val_folder, side_by_side=side_by_side)


def in_two_folders(masks: str, in_train: bool = False,
                   val_folder: Literal["split 1.0", "if there"] = "split 1.0") -> Layout:
    """Return a layout of images in the folder ``image`` and masks in ``masks``; the options may name others."""
    def pairs_in(folder: Path, names: FileNames) -> list[Pair]:
        return side_by_side(folder, replace(names, image_dir=names.image_dir or "image",
                                            mask_dir=names.mask_dir or masks))

    return paired_files(pairs_in, in_train, val_folder, side_by_side=True)


_FOLDERS = paired_files(lambda folder, names: image_folders(folder, names.skip_unpaired))
LAYOUTS = {
    "ISBI": Layout(lambda source: StackReader(source.data_dir, source.channels, source.masks), StackTransform,
                   published_folds=True,
                   input_stem="ISBI_test_bs_1_"),
    "Cell_nuclei": _FOLDERS,
    "COCO": _FOLDERS,
    "folders": _FOLDERS,
    "image_mask": in_two_folders("mask", val_folder="if there"),
    "membrane": in_two_folders("label", in_train=True),
}
