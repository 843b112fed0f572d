"""Statistics of the numbers in image files, and what in them would spoil a training."""
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from src.data.channels import StoredImage
from src.data.class_values import row_blocks
from src.data.normalization import extremes, percentiles
from src.model_utils.errors import first_few

FEW_LEVELS = 32         # an image that uses fewer gray levels was darkened or cut to few bits
SATURATED = 0.05        # share of the pixels that have the largest number a camera gives
# The ranges of the two parts differ if what they share is less than this of what they cover together.
OVERLAP = 0.5


@dataclass
class Intensities:
    """What the images of one part of a data set hold, channel by channel.

    Attributes:
        shares: the two percentiles.
        low, high: of each image, (C,) smallest and largest number.
        inner: of each image, (2, C) percentiles.
        few_levels, saturated, constant: names of the images with such channels.
    """
    shares: tuple[float, float]
    low: list[np.ndarray] = field(default_factory=list)
    high: list[np.ndarray] = field(default_factory=list)
    inner: list[np.ndarray] = field(default_factory=list)
    few_levels: list[str] = field(default_factory=list)
    saturated: list[str] = field(default_factory=list)
    constant: list[str] = field(default_factory=list)

    def add(self, image: StoredImage, name: str) -> None:
        """Add an image."""
        pixels = image.pixels

        def bands():
            return row_blocks(pixels)
        low, high = extremes(bands)
        self.low.append(low)
        self.high.append(high)
        self.inner.append(percentiles(bands, pixels.dtype, self.shares))
        varied = [channel for channel in range(pixels.shape[2]) if low[channel] < high[channel]]
        if len(varied) < pixels.shape[2]:
            self.constant.append(name)
        if image.limits[1] - image.limits[0] >= 255 and any(_levels(pixels[..., channel]) < FEW_LEVELS
                                                            for channel in varied):
            self.few_levels.append(name)
        if any(_is_full(high[channel], image.limits) and (pixels[..., channel] == high[channel]).mean() > SATURATED
               for channel in varied):
            self.saturated.append(name)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.low[0]) if self.low else 0

    def text(self, channel: int) -> str:
        """Return the numbers of a channel over all images: "100 to 551 (1 %: 128, 99.8 %: 540)"."""
        if channel >= self.channels:
            return "-"
        low, high = min(image[channel] for image in self.low), max(image[channel] for image in self.high)
        inner = np.median([image[:, channel] for image in self.inner], axis=0)
        return f"{low:.6g} to {high:.6g} ({', '.join(f'{s:g} %: {n:.5g}' for s, n in zip(self.shares, inner))})"

    def warnings(self, part: str) -> list[str]:
        """Return lines about images that may be wrong; ``part`` is the name of the part of the data set."""
        found = ((self.few_levels, f"use fewer than {FEW_LEVELS} gray levels; were they saved with too few bits?"),
                 (self.saturated, f"have the largest number in more than {SATURATED:.0%} of the pixels; they are "
                                  "overexposed, or cut"),
                 (self.constant, "have a channel that is the same everywhere"))
        return [f"{part}: {len(names)} of {len(self.low)} images {words}: {first_few(names)}" for names, words in found
                if names]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"channels": [self.text(channel) for channel in range(self.channels)],
                "few_gray_levels": self.few_levels, "saturated": self.saturated, "constant_channels": self.constant}


def differing_ranges(train: Intensities, validation: Intensities) -> list[str]:
    """Return a line for each channel whose numbers differ between training and validation images."""
    lines = []
    for channel in range(min(train.channels, validation.channels)):
        spans = [np.median([image[:, channel] for image in part.inner], axis=0) for part in (train, validation)]
        (low, high), (other_low, other_high) = spans
        together = max(high, other_high) - min(low, other_low)
        if together > 0 and min(high, other_high) - max(low, other_low) < OVERLAP * together:
            lines.append(f"the numbers of channel {channel} differ between training ({train.text(channel)}) and "
                         f"validation ({validation.text(channel)})")
    return lines


def _levels(numbers: np.ndarray) -> int:
    """Count the different numbers, up to FEW_LEVELS if a part of them is enough for it."""
    step = max(1, numbers.size // 10_000)
    few = len(np.unique(numbers.ravel()[::step]))
    return few if few >= FEW_LEVELS else len(np.unique(numbers))


def _is_full(high: float, limits: tuple[float, float]) -> bool:
    """Return whether a number is the largest of its type, or of a camera of 8 and more bits."""
    return high == limits[1] or high >= 255 and float(high + 1).is_integer() and int(high + 1).bit_count() == 1
