"""What every reader of a data layout offers, and the reader that keeps samples in memory."""
from collections.abc import Sized
from pathlib import Path
from typing import Protocol

import numpy as np


class Reader(Sized, Protocol):
    """The samples of a data set in their own sizes, read when they are asked for.

    ``reader[i]`` is (image, classes): (H, W) or (H, W, C) uint8, colours as blue, green, red, and (H, W) uint8 class
    numbers. It raises UNetError for a sample that cannot be used.
    """

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        ...

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of an image, without reading its pixels where that is possible."""

    def name(self, index: int) -> str:
        """Return the name of a sample, for messages, tables and file names."""

    def entry(self, index: int, root: str | Path) -> str:
        """Return the name of a sample in splits.json; ``root`` is the data set's folder."""

    def kind(self, index: int) -> str:
        """Return how an image is stored, such as RGB."""

    def mask_values(self, index: int) -> np.ndarray:
        """Return the values in a mask's file, which may be more than its classes."""

    def folders(self) -> set[Path]:
        """Return the folders that hold the data set's own images and masks."""


class ReaderWrapper:
    """Passes everything on to another reader."""

    def __init__(self, reader: Reader):
        self.reader = reader

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.reader[index]

    def size(self, index: int) -> tuple[int, int]:
        return self.reader.size(index)

    def name(self, index: int) -> str:
        return self.reader.name(index)

    def entry(self, index: int, root: str | Path) -> str:
        return self.reader.entry(index, root)

    def kind(self, index: int) -> str:
        return self.reader.kind(index)

    def mask_values(self, index: int) -> np.ndarray:
        return self.reader.mask_values(index)

    def folders(self) -> set[Path]:
        return self.reader.folders()


class CachedReader(ReaderWrapper):
    """A reader that keeps the first samples that are asked for in memory.

    Args:
        reader (Reader): reads the samples.
        cache_mb (int): memory in MB (10^6 bytes) for images and classes.
    """

    def __init__(self, reader: Reader, cache_mb: int):
        super().__init__(reader)
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._free = cache_mb * 10**6

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        index = int(index)
        if index not in self._kept:
            item = self.reader[index]
            size = item[0].nbytes + item[1].nbytes
            if self._free < size:
                return item
            self._kept[index], self._free = item, self._free - size
        return self._kept[index]
