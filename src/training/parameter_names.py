"""The names under which other programs save a network's parameters. Without MindSpore.

A cell that wraps the network adds a prefix to them (``net.conv00.…``), PyTorch has other names for those of a batch
norm, and the cells of a network may have other names elsewhere.
"""
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

Value = TypeVar("Value")

# Parameter of a batch norm in MindSpore -> its name in PyTorch.
BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def spellings(names: Iterable[str], cells_elsewhere: Mapping[str, Sequence[str]] | None = None) -> dict[str, str]:
    """Return every known spelling of the parameters ``names`` -> its name here.

    Args:
        names: the parameters of a network.
        cells_elsewhere: cell of the network -> the names that it has in another program.
    """
    found = {}
    for name in names:
        cell, _, kind = name.rpartition(".")
        kinds = {kind, BATCH_NORM.get(kind, kind)}
        found.update({f"{other}.{kind}": name for other in _cells(cell, cells_elsewhere or {}) for kind in kinds})
    return found


def _cells(cell: str, elsewhere: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names of a cell: its own, and those elsewhere of the cell that it is, or is part of."""
    return [cell, *(other + cell.removeprefix(own) for own, others in elsewhere.items()
                    if f"{cell}.".startswith(f"{own}.") for other in others)]


def renamed(parameters: Mapping[str, Value], known: Mapping[str, str]) -> dict[str, Value]:
    """Return the parameters of a file by their names here; those that are not known keep their names.

    All known names of a file are below one common prefix, or below none. A file that has a parameter twice, under two
    names, keeps the second name.

    Args:
        parameters: name in the file -> value.
        known: the ``spellings`` of the network.
    """
    prefix = _common_prefix(parameters, known)
    result: dict[str, Value] = {}
    for name, value in parameters.items():
        here = known.get(name.removeprefix(prefix), name) if name.startswith(prefix) else name
        result[name if here in result or here != name and here in parameters else here] = value
    return result


def _common_prefix(names: Iterable[str], known: Mapping[str, str]) -> str:
    """Return the text before most of the known names, the shortest of several."""
    prefixes: Counter[str] = Counter()
    for name in names:
        starts = [0, *(index + 1 for index, letter in enumerate(name) if letter == ".")]
        prefixes.update(name[:start] for start in starts if name[start:] in known)
    return max(prefixes, key=lambda prefix: (prefixes[prefix], -len(prefix)), default="")
