"""What every reader of a data layout offers, and the reader that keeps samples in memory."""
from collections.abc import Iterator, Sized
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np

from src.data.channels import Channels, StoredImage
from src.data.class_values import row_blocks
from src.data.mask_pixels import MaskPixels
from src.data.normalization import Normalization
from src.data.page import Page, Window


class Samples(Sized, Protocol):
    """The samples of a data set, and what is known of them without reading their pixels."""

    def is_8_bit(self, index: int) -> bool:
        """Return whether the numbers of an image have 8 bits or fewer, without reading its pixels."""

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of an image, without reading its pixels where that is possible."""

    def name(self, index: int) -> str:
        """Return the name of a sample, for messages, tables and file names."""

    def entry(self, index: int, root: str | Path) -> str:
        """Return the name of a sample in splits.json; ``root`` is the data set's folder."""

    def kind(self, index: int) -> str:
        """Return how an image is stored, such as RGB."""

    def masks_hold(self) -> str:
        """Return how the masks are read, for tables."""

    def instances(self, index: int) -> np.ndarray | None:
        """Return the (H, W) object numbers of a mask, 0 for the background; None if it has classes only."""

    def mask_classes(self, index: int) -> np.ndarray:
        """Return the (H, W) uint8 class numbers of a mask, without reading its image."""

    def mask_files(self, index: int) -> list[Path]:
        """Return the file that holds a mask, and that of the numbers of its objects if it is another one."""

    def folders(self) -> set[Path]:
        """Return the folders that hold the data set's own images and masks."""


class StoredReader(Samples, Protocol):
    """Reads samples with the numbers of their files: ``reader[i]`` is (StoredImage, classes), see ``Reader``."""

    def __getitem__(self, index: int) -> tuple[StoredImage, np.ndarray]:
        ...

    channels: Channels

    def image(self, index: int) -> StoredImage:
        """Read only the image of a sample."""

    def open_image(self, index: int) -> AbstractContextManager[Page]:
        """Yield the page of an image, which can be read while its file is open."""

    def mask_pixels(self, index: int, window: Window | None = None) -> MaskPixels:
        """Return a mask, or a part of it, as its file holds it."""

    def classes_in(self, index: int, window: Window) -> np.ndarray:
        """Return the classes of a part of a mask, of which only that part is read where its format allows it."""

    def numbers_objects(self, index: int) -> bool:
        """Return whether a mask has the numbers of its objects."""

    def instances_in(self, index: int, window: Window) -> np.ndarray:
        """Return the object numbers of a part of a mask that has them; see ``classes_in`` and ``instances``."""

    def class_bands(self, index: int) -> Iterator[np.ndarray]:
        """Yield the classes of a mask from top to bottom, some rows at a time."""


class Reader(Samples, Protocol):
    """Reads samples in their own sizes, normalized, when they are asked for.

    ``reader[i]`` is (image, classes): (H, W, C), uint8 or float32 as ``src.data.normalization`` gives it, and (H, W)
    uint8 class numbers, or ``src.data.class_values.IGNORED``. It raises UNetError for a sample that cannot be used.
    """

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        ...

    def checked(self, index: int) -> tuple[StoredImage, np.ndarray]:
        """Return an image with the numbers of its file, and its classes, if the sample can be used."""


class _Wrapper:
    """Passes on what is known of the samples of another reader."""

    def __init__(self, reader: Samples):
        self.reader = reader

    def __len__(self) -> int:
        return len(self.reader)

    def is_8_bit(self, index: int) -> bool:
        return self.reader.is_8_bit(index)

    def size(self, index: int) -> tuple[int, int]:
        return self.reader.size(index)

    def name(self, index: int) -> str:
        return self.reader.name(index)

    def entry(self, index: int, root: str | Path) -> str:
        return self.reader.entry(index, root)

    def kind(self, index: int) -> str:
        return self.reader.kind(index)

    def masks_hold(self) -> str:
        return self.reader.masks_hold()

    def instances(self, index: int) -> np.ndarray | None:
        return self.reader.instances(index)

    def mask_classes(self, index: int) -> np.ndarray:
        return self.reader.mask_classes(index)

    def mask_files(self, index: int) -> list[Path]:
        return self.reader.mask_files(index)

    def folders(self) -> set[Path]:
        return self.reader.folders()


class NormalizedReader(_Wrapper):
    """Normalizes the images of a reader."""

    def __init__(self, reader: StoredReader, normalization: Normalization):
        super().__init__(reader)
        self.stored_reader, self.normalization = reader, normalization

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image, classes = self.stored_reader[index]
        return self.normalization.apply(image, self.name(index)), classes

    def checked(self, index: int) -> tuple[StoredImage, np.ndarray]:
        image, classes = self.stored_reader[index]
        self.normalization.mapping(lambda: row_blocks(image.pixels), image.pixels.dtype, image.limits, self.name(index))
        return image, classes


class ReaderWrapper(_Wrapper):
    """Passes everything on to another reader."""

    def __init__(self, reader: Reader):
        super().__init__(reader)
        self.reader: Reader = reader

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.reader[index]

    def checked(self, index: int) -> tuple[StoredImage, np.ndarray]:
        return self.reader.checked(index)


class SampleCache:
    """Keeps samples in memory, as far as they fit.

    Attributes:
        kept: number of a sample -> its image and its classes.
        free: bytes that are left.
    """

    def __init__(self, cache_mb: int):
        self.capacity = self.free = cache_mb * 10**6
        self.kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def keep(self, index: int, item: tuple[np.ndarray, np.ndarray]) -> None:
        """Keep a sample if it fits."""
        size = sum(array.nbytes for array in item)
        if size <= self.free:
            self.kept[index], self.free = item, self.free - size

    def share(self, count: int) -> float:
        """Return which share of ``count`` samples will fit, judged by those that are kept now."""
        used = self.capacity - self.free
        return min(1.0, self.capacity * len(self.kept) / (used * count)) if used else 0.0


class CachedReader(ReaderWrapper):
    """A reader that keeps the first samples that are asked for in memory. A pickled one has kept nothing yet.

    Args:
        reader (Reader): reads the samples.
        cache_mb (int): memory in MB (10^6 bytes) for images and classes.
    """

    def __init__(self, reader: Reader, cache_mb: int):
        super().__init__(reader)
        self.cache_mb, self.cache = cache_mb, SampleCache(cache_mb)

    def __reduce__(self) -> tuple[type["CachedReader"], tuple[Reader, int]]:
        return CachedReader, (self.reader, self.cache_mb)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        index = int(index)
        if index in self.cache.kept:
            return self.cache.kept[index]
        item = self.reader[index]
        self.cache.keep(index, item)
        return item
