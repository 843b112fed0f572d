"""A page to predict, of which only the rows that are needed are in memory."""
from collections.abc import Iterator

import numpy as np

from src.data.channels import Channels, as_rgb
from src.data.normalization import Normalization
from src.data.page import Page

BAND_BYTES = 2**25      # of the rows that are read together, for statistics and overlays
# Rows that are read beyond those asked for: resizing asks for the rows above, then for those below, and so on in turn.
SPARE = 2


class PageImage:
    """A page of an image file as the network takes it, with ``image[rows, columns]`` like an array.

    The two index arrays broadcast against each other; the result is (..., C), uint8 or float32 as ``Normalization``
    gives it. Rows that are asked for together stay in memory until others are needed.

    Args:
        page: the page, of an open file.
        channels: the channels of the network.
        normalization: what the network was trained with.

    Attributes:
        shape: (H, W, C).
        dtype: of its numbers, uint8 or float32.

    Raises:
        UNetError: the page does not have these channels, or cannot be read or normalized.
    """

    def __init__(self, page: Page, channels: Channels, normalization: Normalization):
        channels.check(page)
        self.page, self.channels, self.normalization = page, channels, normalization
        self.shape = (page.height, page.width, channels.count)
        self._first, self._rows = 0, self._read(*self._aligned(0, 1))
        self._map = normalization.mapping(self.bands, self._rows.dtype, page.limits, page.path)
        self.dtype = self._map(self._rows[:1, :1]).dtype

    def __getitem__(self, index: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        rows, columns = index
        stored = self._stored(int(rows.min()), int(rows.max()) + 1)
        return self._map(stored[rows - rows.min(), columns])

    def pictures(self) -> Iterator[np.ndarray]:
        """Yield the page for people, from top to bottom: (rows, W, 3) uint8 red, green, blue."""
        for stored in self.bands():
            image = self._map(stored)
            yield as_rgb(image if image.dtype == np.uint8 else self.normalization.to_bytes(image))

    def bands(self) -> Iterator[np.ndarray]:
        """Yield the page with the numbers of its file, from top to bottom: (rows, W, C)."""
        height, width, count = self.shape
        step = BAND_BYTES // (width * count * self._rows.dtype.itemsize)
        step = max(1, step // self.page.rows_at_once) * self.page.rows_at_once
        for top in range(0, height, step):
            yield self._stored(top, min(height, top + step))

    def _stored(self, top: int, bottom: int) -> np.ndarray:
        """Return rows as stored; those that were read last are not read again."""
        last = self._first + len(self._rows)
        if not self._first <= top <= bottom <= last:
            low, high = self._aligned(max(0, top - SPARE), min(self.shape[0], bottom + SPARE))
            kept = self._rows[low - self._first:] if self._first <= low < last < high else self._rows[:0]
            new = self._read(low + len(kept), high)
            self._first, self._rows = low, np.concatenate([kept, new]) if len(kept) else new
        return self._rows[top - self._first:bottom - self._first]

    def _aligned(self, top: int, bottom: int) -> tuple[int, int]:
        """Widen to rows that are decoded together."""
        step = self.page.rows_at_once
        return top // step * step, min(-(-bottom // step) * step, self.page.height)

    def _read(self, top: int, bottom: int) -> np.ndarray:
        return self.channels.read(self.page, top, bottom)
