"""Where the classes of an image are: a bounded sample of pixels, in which patches are centred."""
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from src.data.class_values import row_blocks

Bands = Callable[[], Iterable[np.ndarray]]      # each call yields the classes of an image, (rows, W), from the top


def sample_positions(bands: Bands, num_classes: int, most: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw positions of each class of an image but class 0, in two passes over it.

    Args:
        bands: yields the classes of the image; other numbers count in no class.
        num_classes: number of classes, the background included.
        most: positions of a class. One that has no more pixels gives all of them, others are drawn with replacement.
        rng: draws them.

    Returns:
        list[np.ndarray]: for each class that the image has, (n,) uint32 numbers of pixels, row by row from the top.
    """
    counts = np.sum([np.bincount(rows.ravel(), minlength=256)[:num_classes] for rows in _blocks(bands)], axis=0)
    wanted = {number: np.arange(counts[number]) if counts[number] <= most
              else np.sort(rng.integers(0, counts[number], most))
              for number in range(1, num_classes) if counts[number]}
    found: dict[int, list[np.ndarray]] = {number: [] for number in wanted}
    before, pixels = dict.fromkeys(wanted, 0), 0      # those of each class, and all, in the blocks above
    for rows in _blocks(bands):
        for number, ranks in wanted.items():
            places = np.flatnonzero(rows == number)
            here = ranks[slice(*np.searchsorted(ranks, [before[number], before[number] + len(places)]))]
            found[number].append((places[here - before[number]] + pixels).astype(np.uint32))
            before[number] += len(places)
        pixels += rows.size
    return [np.concatenate(parts) for parts in found.values()]


def _blocks(bands: Bands) -> Iterator[np.ndarray]:
    for band in bands():
        yield from row_blocks(band)
