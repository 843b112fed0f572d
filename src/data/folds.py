"""Folds: the samples of a data set in k parts, of which each validates once while the others train."""
from dataclasses import dataclass, field

import numpy as np

from src.data.folders import LAYOUTS
from src.data.samples import create_samples, entries
from src.data.stacks import FOLDS, StackReader, fold_indices
from src.model_utils.errors import UNetError
from src.model_utils.files import natural


@dataclass(frozen=True)
class Fold:
    """One fold.

    Attributes:
        number: from 1.
        train, validation: names of the samples, as in splits.json.
        options: what makes train.py take these samples; empty where that takes a splits.json.
    """
    number: int
    train: list
    validation: list
    options: dict = field(default_factory=dict)


def partition(count, folds, seed):
    """Cut the numbers 0 to ``count`` - 1 into ``folds`` parts at random, their sizes as equal as can be.

    Returns:
        list[set[int]]: the parts, the larger ones first.
    """
    order = np.random.default_rng((seed, count)).permutation(count)
    return [set(part.tolist()) for part in np.array_split(order, folds)]


def create_folds(config):
    """The folds that the options ask for.

    Five folds of ISBI stacks are those of ``cross_valid_ind``, where their slices can be cut into five equal parts;
    all others are a ``partition`` by the seed.

    Args:
        config (Config): folds, the data set's options and seed count.

    Returns:
        list[Fold].

    Raises:
        UNetError: a validation part that is fixed already, fewer samples than folds, or see ``create_samples``.
    """
    _check(config)
    names = _names(config)
    folds = config.folds or min(FOLDS, len(names))
    if not 2 <= folds <= len(names):
        raise UNetError(f"{folds} folds of {len(names)} samples: each fold validates on one sample at least, and "
                        f"trains on another; give --folds=2 to --folds={len(names)}")
    if config.dataset == "ISBI" and folds == FOLDS and len(names) % FOLDS == 0:
        return [Fold(number, *([names[index] for index in part] for part in fold_indices(len(names), number)),
                     {"cross_valid_ind": number}) for number in range(1, FOLDS + 1)]
    return [Fold(number, [name for index, name in enumerate(names) if index not in part],
                 [names[index] for index in sorted(part)])
            for number, part in enumerate(partition(len(names), folds, config.seed), 1)]


def _names(config):
    """Names of all samples, in their natural order."""
    if config.dataset == "ISBI":
        reader = StackReader(config.data_path)      # stacks of fewer slices than five have folds too
        return [reader.entry(index, config.data_path) for index in range(len(reader))]
    return sorted((name for part in create_samples(config) for name in entries(part, config.data_path)), key=natural)


def _check(config):
    if config.splits:
        raise UNetError(f"splits is {config.splits}, but folds make splits of their own; leave it out, or train on "
                        f"that split alone with train.py")
    _, _, has_val = LAYOUTS.get(config.dataset, (None, False, False))
    if has_val or config.split == 1.0 and config.dataset in LAYOUTS:
        fixed = f"dataset {config.dataset}" if has_val else "split 1.0"
        raise UNetError(f"{fixed} validates on the pictures of val/, so folds do not apply; train with train.py, or "
                        f"put all pictures together and give them as dataset folders with another split, or as "
                        f"membrane")
