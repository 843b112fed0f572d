"""Folds: k parts of a data set. In each fold one part validates, and the others train."""
from dataclasses import dataclass, field

import numpy as np

from src.data.data_options import source_of
from src.data.layouts import VAL, Source, file_of
from src.data.samples import all_entries
from src.data.stacks import FOLDS, fold_indices
from src.model_utils.config import Config
from src.model_utils.errors import UNetError


@dataclass(frozen=True)
class Fold:
    """One fold.

    Attributes:
        number: from 1.
        train, validation: names of the samples, as in splits.json.
        options: options of train.py that choose these samples; empty if it needs a splits.json.
    """
    number: int
    train: list[str]
    validation: list[str]
    options: dict[str, int] = field(default_factory=dict)


def partition(count: int, folds: int, seed: int) -> list[set[int]]:
    """Divide the numbers 0 to ``count`` - 1 at random into ``folds`` parts whose sizes differ by at most one.

    Returns:
        list[set[int]]: the parts, the larger ones first.
    """
    order = np.random.default_rng((seed, count)).permutation(count)
    return [set(part.tolist()) for part in np.array_split(order, folds)]


def create_folds(config: Config) -> list[Fold]:
    """Make the folds that the options ask for.

    Five folds of a layout with published folds are the published ones, which cross_valid_ind chooses, if its samples
    can be divided into five equal parts. All others are a ``partition`` by the seed.

    Args:
        config (Config): folds, seed and the options of the data set.

    Raises:
        UNetError: the data set has a fixed validation part or fewer samples than folds; see also ``create_samples``.
    """
    source = source_of(config)
    _check(config, source)
    names = all_entries(config)
    # Pages of one file are alike, so they stay together.
    files = list(dict.fromkeys(map(file_of, names)))
    files = files if len(files) > 1 else names
    folds = config.folds or min(FOLDS, len(files))
    if not 2 <= folds <= len(files):
        raise UNetError(f"{folds} folds of {len(files)} samples: each fold needs at least one sample to validate on "
                        f"and one to train on; give --folds=2 to --folds={len(files)}")
    if source.layout.published_folds and folds == FOLDS and len(names) % FOLDS == 0:
        return [_published_fold(names, number) for number in range(1, FOLDS + 1)]
    parts = [{files[index] for index in part} for part in partition(len(files), folds, config.seed)]
    return [Fold(number, [name for name in names if not {name, file_of(name)} & part],
                 [name for name in names if {name, file_of(name)} & part]) for number, part in enumerate(parts, 1)]


def _published_fold(names: list[str], number: int) -> Fold:
    train, valid = ([names[index] for index in part] for part in fold_indices(len(names), number))
    return Fold(number, train, valid, {"cross_valid_ind": number})


def _check(config: Config, source: Source) -> None:
    if config.splits:
        raise UNetError(f"splits is {config.splits}, but folds make their own splits; leave it out, or train on that "
                        f"one split with train.py")
    if source.validates_on_val:
        fixed = "split 1.0" if config.split == 1.0 else f"{config.data_path} with the folders train and val"
        raise UNetError(f"{fixed} validates on the images of {VAL}/, so folds do not apply; train with train.py, or "
                        f"put all images together and give them as dataset folders with another split, or as membrane")
