"""Windows of images in their own sizes, for patches. Images that are too large for memory are read in windows."""
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from src.data import boundary
from src.data.border_weights import FAR, with_weights
from src.data.class_positions import sample_positions
from src.data.normalization import Mapping, Normalization
from src.data.notices import say_once
from src.data.page import Window
from src.data.reader import NormalizedReader, SampleCache, StoredReader
from src.model_utils.errors import UNetError

LARGE = 50 * 10**6          # pixels; larger images are never in memory as a whole, if their format allows it
MOST_POSITIONS = 10**7      # of pixels of classes, over all images; each takes 4 bytes
OF_A_CLASS = 16, 10_000     # least and largest number of them for a class of an image
BAND = 2**22                # pixels of a mask that are read at once to find rims


class WindowReader(NormalizedReader):
    """A reader that also reads windows, normalized by the statistics of the whole image.

    Images that fit into ``cache_mb`` stay in memory, as they are stored; of all others only the window is read, if
    their format allows it. A pickled reader has kept nothing yet.

    Args:
        stored_reader: reads the samples.
        normalization: how images are normalized.
        num_classes: number of classes, the background included.
        cache_mb: memory in MB (10^6 bytes) for images and classes.
        weighted: classes carry the weight maps of ``src.data.border_weights``.
        has_rim: classes are background, interior and rim, see ``src.data.boundary``.
        seed: of the sample of positions.
    """

    def __init__(self, stored_reader: StoredReader, normalization: Normalization, num_classes: int, cache_mb: int,
                 weighted: bool = False, has_rim: bool = False, seed: int = 1):
        super().__init__(stored_reader, normalization)
        self.num_classes, self.cache_mb, self.seed = num_classes, cache_mb, seed
        self.weighted, self.has_rim = weighted, has_rim
        self.cache = SampleCache(cache_mb)      # of stored pixels and classes
        self._mappings: dict[int, Mapping] = {}
        self._headers: dict[int, _Header] = {}
        self._positions: dict[int, list[np.ndarray]] = {}

    def __reduce__(self) -> tuple[type["WindowReader"], tuple]:
        return WindowReader, (self.stored_reader, self.normalization, self.num_classes, self.cache_mb, self.weighted,
                              self.has_rim, self.seed)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of an image."""
        return self._header(index).size

    def window(self, index: int, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Read a part of a sample, which lies in the image.

        Returns:
            tuple: (h, w, C), uint8 or float32 as ``src.data.normalization`` gives it, and (h, w) classes.

        Raises:
            UNetError: a sample that cannot be used, or is too large for weight maps or rims of objects without numbers.
        """
        kept = self._whole(index)
        mapping = self._mapping(index)
        if kept:
            return mapping(kept[0][window]), kept[1][window]
        rows, columns = window
        with self.stored_reader.open_image(index) as page:
            pixels = self.stored_reader.channels.read(page, rows.start, rows.stop, columns.start, columns.stop)
        return mapping(pixels), self._classes_in(index, window, self.weighted)

    def mask_classes(self, index: int) -> np.ndarray:
        """Return the (H, W) classes of a sample, without weights."""
        classes = self.stored_reader.mask_classes(index)
        return self._with_rim(classes, self.stored_reader.instances(index))[0] if self.has_rim else classes

    def positions(self, index: int) -> list[np.ndarray]:
        """Return pixels of each class of an image but class 0, see ``sample_positions``."""
        if index not in self._positions:
            least, most = OF_A_CLASS
            count = min(most, max(least, MOST_POSITIONS // (len(self) * self.num_classes)))
            # Of their own, so that they are the same whichever patch asks first.
            rng = np.random.default_rng((self.seed, index, count, self.num_classes))
            self._positions[index] = sample_positions(lambda: self._class_bands(index), self.num_classes, count, rng)
        return self._positions[index]

    def _class_bands(self, index: int) -> Iterator[np.ndarray]:
        kept = self._whole(index)
        if kept:
            yield kept[1] & 255 if self.weighted else kept[1]
        elif not self.has_rim:
            yield from self.stored_reader.class_bands(index)
        else:
            height, width = self.size(index)
            rows = max(1, BAND // width)
            for top in range(0, height, rows):
                yield self._classes_in(index, (slice(top, min(top + rows, height)), slice(0, width)), False)

    def _classes_in(self, index: int, window: Window, weighted: bool) -> np.ndarray:
        """Return the classes of a part of a sample that is not read as a whole; they are the same as if it were."""
        if not (weighted or self.has_rim):
            return self.stored_reader.classes_in(index, window)
        # Pixels further away change neither rims nor weights.
        rows, columns = (slice(max(0, side.start - FAR), min(side.stop + FAR, length))
                         for side, length in zip(window, self.size(index)))
        found = self._with_rim_and_weights(self.stored_reader.classes_in(index, (rows, columns)),
                                    self.stored_reader.instances_in(index, (rows, columns)), weighted)
        return found[window[0].start - rows.start:, window[1].start - columns.start:][
            :window[0].stop - window[0].start, :window[1].stop - window[1].start]

    def _whole(self, index: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the stored pixels and the classes of an image that is read as a whole, else None."""
        if index in self.cache.kept:
            return self.cache.kept[index]
        header = self._header(index)
        is_large = header.in_windows and header.pixels > LARGE
        needs_whole = self._needs_objects and not self.stored_reader.numbers_objects(index)
        if needs_whole and header.pixels > LARGE:
            raise UNetError(f"{self.name(index)} has {header.pixels / 1e6:.0f} megapixels, and its mask does not "
                            f"number its objects; border_weight and target boundary then need whole masks, and take at "
                            f"most {LARGE // 10**6} megapixels: leave them out, or cut the image")
        fits = header.bytes <= self.cache.free and not is_large
        if not fits and not needs_whole:
            return None
        image, classes = self.stored_reader[index]
        if self._needs_objects:
            classes = self._with_rim_and_weights(classes, self.stored_reader.instances(index), self.weighted)
        if fits:
            self.cache.keep(index, (image.pixels, classes))
        return image.pixels, classes

    @property
    def _needs_objects(self) -> bool:
        """Whether the classes depend on the objects around them."""
        return self.weighted or self.has_rim

    def _with_rim_and_weights(self, classes: np.ndarray, instances: np.ndarray | None, weighted: bool) -> np.ndarray:
        """Return classes with rims, if the reader has them, and with weights if they are asked for."""
        if self.has_rim:
            classes, instances = self._with_rim(classes, instances)
        return with_weights(classes, instances, self.has_rim) if weighted else classes

    @staticmethod
    def _with_rim(classes: np.ndarray, instances: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        objects = boundary.objects_of(classes, instances)
        return boundary.boundary_classes(classes, objects), objects

    def _mapping(self, index: int) -> Mapping:
        """Return the function that normalizes an image. Its statistics are found once, in the file's own bands.

        So they do not depend on whether the image is in memory.
        """
        if index not in self._mappings:
            channels = self.stored_reader.channels
            with self.stored_reader.open_image(index) as page:
                def bands() -> Iterator[np.ndarray]:
                    for rows, _ in page.strips():
                        yield channels.read(page, rows.start, rows.stop)

                dtype = channels.read(page, 0, 1, 0, 1).dtype
                self._mappings[index] = self.normalization.mapping(bands, dtype, page.limits, self.name(index))
        return self._mappings[index]

    def _header(self, index: int) -> "_Header":
        if index not in self._headers:
            with self.stored_reader.open_image(index) as page:
                number = page.height * page.width
                size_of_pixel = self.stored_reader.channels.count * page.dtype.itemsize + 1 + self.weighted
                self._headers[index] = _Header((page.height, page.width), number * size_of_pixel, page.in_windows)
                if number > LARGE and not page.in_windows:
                    say_once(page.path, f"{page.width}x{page.height} as {page.format}, which is decoded as a whole for "
                                        f"each patch that is not in memory; TIFF is read in windows")
        return self._headers[index]


@dataclass(frozen=True)
class _Header:
    """What is known of an image without its pixels: (height, width), bytes of image and classes, format."""
    size: tuple[int, int]
    bytes: int
    in_windows: bool

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]
