"""The file splits.json, which says what trains: ``{"train": [name, ...], "validation": [name, ...]}``.

A name is ``slice N`` for stacks (N from 0), and the image's path below the data set's folder for other layouts.
"""
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import write_atomically
from src.model_utils.inputs import read_json

PARTS = ("train", "validation")


def write_splits(path: str | Path, train: Iterable[str], validation: Iterable[str]) -> None:
    """Write the names of both parts, whole or not at all.

    Raises:
        UNetError: the file cannot be written.
    """
    text = json.dumps(dict(zip(PARTS, (list(train), list(validation)))), indent=1)
    write_atomically(path, text.encode())


def read_splits(path: str | Path) -> list[list[str]]:
    """Return [training names, validation names].

    Raises:
        UNetError: there is no such file, it has another form, or it has a name twice.
    """
    parts = read_json(path, _parts, 'expected {"train": [names], "validation": [names]}',
                      "; give a splits.json of an earlier run with --splits")
    twice = sorted(name for name, count in Counter(name for part in parts for name in part).items() if count > 1)
    if twice:
        raise UNetError(f"{path}: {len(twice)} names are in it twice ({first_few(twice)}); a sample trains or "
                        f"validates, not both")
    return parts


def _parts(splits: Any) -> list[list[str]]:
    parts = [splits[part] for part in PARTS]
    if not all(isinstance(part, list) and all(isinstance(name, str) for name in part) for part in parts):
        raise ValueError("expected two lists of text")
    return parts


def choose(names: Sequence[str], path: str | Path) -> tuple[list[int], list[int]]:
    """Return the indices among ``names`` of the training and of the validation samples, in the order of the file.

    Raises:
        UNetError: see ``read_splits``; also a name that is not among ``names``.
    """
    index = {name: number for number, name in enumerate(names)}
    parts = read_splits(path)
    unknown = [name for part in parts for name in part if name not in index]
    if unknown:
        raise UNetError(f"{path}: {len(unknown)} names are not in the data set ({first_few(unknown)}); give the "
                        f"splits.json of a run on this data set")
    train, validation = ([index[name] for name in part] for part in parts)
    return train, validation
