"""From the bands of an image file to the channels that a network takes."""
from dataclasses import dataclass

import numpy as np

from src.data import colours
from src.data.notices import say_once
from src.data.page import Page
from src.model_utils.errors import UNetError


@dataclass(frozen=True)
class StoredImage:
    """An image in the channels of the network, with the numbers of its file.

    Attributes:
        pixels: (H, W, C).
        limits: the smallest and the largest number that the file could hold.
    """
    pixels: np.ndarray
    limits: tuple[float, float]


@dataclass(frozen=True)
class Channels:
    """The options ``num_channels`` and ``channels``.

    Without ``picked``, one channel is gray (the luminance of a colour image), three are blue, green, red (or three
    times gray), and any other number is the bands of the file in their order.

    Attributes:
        count: number of channels.
        picked: numbers of the file's bands, from 0, in the order of the channels; empty for the rule above.

    Raises:
        UNetError: ``picked`` has another length than ``count``.
    """
    count: int
    picked: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.picked and len(self.picked) != self.count:
            raise UNetError(f"channels {list(self.picked)} names {len(self.picked)} channels, num_channels is "
                            f"{self.count}; the two must agree")

    def check(self, page: Page) -> None:
        """Raise UNetError if ``page`` has too few bands, or too many to know which of them are meant."""
        if self.picked:
            if max(self.picked) >= page.bands + page.has_alpha:
                raise UNetError(f"{page.path}: {_bands(page)}, and channels {list(self.picked)} asks for number "
                                f"{max(self.picked)}, counted from 0; choose among those that the file has")
        elif self.count in (1, 3) and (page.bands == 1 or page.is_colour):
            if page.bands > 3:
                say_once(page.path, f"{_bands(page)}; num_channels {self.count} uses only red, green and blue, and "
                                    f"--channels picks others")
        elif page.bands < self.count:
            raise UNetError(f"{page.path}: {_bands(page)}, num_channels is {self.count}; give images of {self.count} "
                            f"channels, or train with the num_channels that all files have"
                            + (", or pick channels with --channels" if page.has_alpha else ""))
        elif page.bands > self.count:
            raise UNetError(f"{page.path}: {_bands(page)}, num_channels is {self.count}; name those to use, such as "
                            f"--channels={list(range(self.count))}, or train with num_channels {page.bands}")

    def read(self, page: Page, top: int = 0, bottom: int | None = None, left: int = 0,
             right: int | None = None) -> np.ndarray:
        """Read rows ``top`` to ``bottom`` and columns ``left`` to ``right`` (all by default): (rows, columns, count).

        Raises:
            UNetError: see ``check``; also a damaged file.
        """
        self.check(page)
        stored = page.stored(top, bottom, left, right)
        shown = page.as_shown(stored)
        if page.alpha is not None:
            alpha = stored[..., page.alpha]
            if self.picked:
                return np.concatenate([shown, alpha[..., None]], axis=2)[..., list(self.picked)]
            if alpha.size and alpha.min() != alpha.max():
                say_once(page.path, "the alpha channel, which is not the same everywhere, is left out")
        if self.picked:
            return shown[..., list(self.picked)]
        if self.count == 1 and page.is_colour:
            return colours.to_gray(shown[..., :3])[..., None]
        if self.count == 3:
            # Three times faster than a copy of the reversed view.
            return np.stack([shown[..., 0 if page.bands == 1 else band] for band in (2, 1, 0)], axis=2)
        return shown


ONE_CHANNEL = Channels(1)


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """Turn (H, W, C) of a network's channels into (H, W, 3) red, green, blue for people.

    Three channels are blue, green, red; of four and more, the first three are shown; of others, the first.
    """
    count = pixels.shape[2]
    return pixels[..., ::-1] if count == 3 else pixels[..., :3] if count > 3 else np.repeat(pixels[..., :1], 3, axis=2)


def _bands(page: Page) -> str:
    """Say how many bands a page has: "1 channel", "3 channels (and alpha)"."""
    return f"{page.bands} channel{'s' if page.bands > 1 else ''}" + (" (and alpha)" if page.has_alpha else "")
