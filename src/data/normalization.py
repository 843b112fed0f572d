"""From the numbers of an image file to the network's input: the option ``normalize``.

Statistics are those of the whole page, channel by channel, and are found in one or two passes over its rows, so that a
page need not be in memory as a whole.
"""
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from src.data.channels import StoredImage
from src.data.notices import say_once
from src.model_utils.errors import UNetError

AUTO, RANGE, PERCENTILE, MINMAX, ZSCORE = "auto", "range", "percentile", "minmax", "zscore"
DEVIATIONS_SHOWN = 3        # of zscore, in images for people

Bands = Callable[[], Iterator[np.ndarray]]          # each call yields the rows of a page, (rows, W, C), from the top
Mapping = Callable[[np.ndarray], np.ndarray]        # (..., C) as stored -> (..., C) for the transforms


@dataclass(frozen=True)
class Normalization:
    """How stored numbers become the network's input.

    Attributes:
        mode: range: the numbers that the file's type can hold, from the smallest to the largest, become the input
            range. percentile, minmax: those two numbers of the channel become the input range, without cutting what
            lies beyond. zscore: the channel gets mean 0 and standard deviation 1. auto: range for images of 8 bits,
            percentile for all others.
        percentiles: the two percentiles.
        input_min: lower end of the input range, -1 or 0; the upper end is 1.
    """
    mode: str = AUTO
    percentiles: tuple[float, float] = (1.0, 99.8)
    input_min: int = -1

    def __str__(self) -> str:
        described = {AUTO: "auto (range for images of 8 bits)", PERCENTILE: f"percentile {list(self.percentiles)}"}
        return described.get(self.mode, self.mode)

    def mapping(self, bands: Bands, dtype: np.dtype, limits: tuple[float, float], name: object = "") -> Mapping:
        """Make the function that maps the numbers of a page.

        With range, numbers of 8 bits and fewer become uint8 from 0 to 255, which the transforms scale after resizing:
        the published protocol. All others become float32, and where they are not finite, the middle of the range.

        Args:
            bands: yields the rows of the whole page.
            dtype: type of its numbers.
            limits: the smallest and the largest number that the file could hold.
            name: of the page, for messages.

        Raises:
            UNetError: range, and floating-point numbers outside 0 to 1.
        """
        mode = self.mode_for(dtype)
        if self.mode == AUTO and mode == PERCENTILE:
            say_once(name, f"more than 8 bits, which normalize auto maps by the percentiles {list(self.percentiles)}")
        if mode == RANGE and dtype in (bool, np.uint8) and 255 % limits[1] == 0:
            return partial(_to_bytes, factor=int(255 // limits[1]))
        if mode == ZSCORE:
            mean, deviation = mean_and_deviation(bands)
            return partial(_scale, low=mean, factor=_inverse(deviation, dtype), base=0.0, middle=self.middle)
        if mode == RANGE:
            low, high = (np.array([limit], np.float64) for limit in limits)
            if dtype.kind == "f":
                _check_unit_range(*extremes(bands), name)
        else:
            low, high = extremes(bands)
            if mode == PERCENTILE:
                inner_low, inner_high = percentiles(bands, dtype, self.percentiles)
                # Of an image that is nearly everywhere the same, the two may coincide; then the extremes count.
                low, high = np.where(inner_low < inner_high, (inner_low, inner_high), (low, high))
        factor = (1 - self.input_min) * _inverse(high - low, dtype)
        base = np.where(factor > 0, self.input_min, self.middle)
        return partial(_scale, low=low, factor=factor, base=base, middle=self.middle)

    @property
    def middle(self) -> float:
        """What constant channels become: the middle of the input range, 0 for zscore."""
        return 0.0 if self.mode == ZSCORE else (1 + self.input_min) / 2

    def apply(self, image: StoredImage, name: object = "") -> np.ndarray:
        """Map a whole image: (H, W, C) uint8 or float32, see ``mapping``."""
        pixels = image.pixels
        return self.mapping(lambda: iter([pixels]), pixels.dtype, image.limits, name)(pixels)

    def mode_for(self, dtype: np.dtype) -> str:
        """Return the mode for images whose numbers are of a type."""
        if self.mode == AUTO:
            return RANGE if is_8_bit(dtype) else PERCENTILE
        return self.mode

    def clip(self, image: np.ndarray) -> np.ndarray:
        """Cut float32 to the input range, if it bounds the numbers of this mode."""
        return np.clip(image, self.input_min, 1) if self.mode in (AUTO, RANGE, MINMAX) else image

    def to_bytes(self, image: np.ndarray) -> np.ndarray:
        """Turn float32 as the network takes it into uint8 gray values to be shown; those beyond the range are cut."""
        low, high = (-DEVIATIONS_SHOWN, DEVIATIONS_SHOWN) if self.mode == ZSCORE else (self.input_min, 1)
        return np.rint(np.clip((image - np.float32(low)) * np.float32(255 / (high - low)), 0, 255)).astype(np.uint8)


AS_PUBLISHED = Normalization()      # 8 bits from -1 to 1


def is_8_bit(dtype: np.dtype) -> bool:
    """Return whether numbers are of 8 bits or fewer."""
    return dtype.itemsize == 1


def _to_bytes(pixels: np.ndarray, factor: int) -> np.ndarray:
    return pixels if factor == 1 else pixels.astype(np.uint8) * np.uint8(factor)


def _scale(pixels: np.ndarray, low: np.ndarray, factor: np.ndarray, base: np.ndarray | float,
           middle: float) -> np.ndarray:
    # The lower end is subtracted first, so that numbers far from 0 do not lose their last digits.
    numbers = pixels.astype(_calculation_type(pixels.dtype))
    scaled = ((numbers - low.astype(numbers.dtype)) * factor.astype(numbers.dtype)
              + np.asarray(base, numbers.dtype)).astype(np.float32)
    if pixels.dtype.kind == "f":
        np.copyto(scaled, np.float32(middle), where=~np.isfinite(pixels))
    return scaled


def _calculation_type(dtype: np.dtype) -> type[np.floating]:
    """Return the type that numbers of ``dtype`` are scaled in, which loses none of their digits."""
    is_wide = dtype.kind in "iu" and dtype.itemsize > 2 or dtype == np.float64
    return np.float64 if is_wide else np.float32


def _inverse(span: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return 1 / span, and 0 where there is no span, or one so small that the numbers cannot be scaled by it."""
    smallest = np.finfo(_calculation_type(dtype)).tiny
    return np.divide(1.0, span, out=np.zeros_like(span, np.float64), where=span >= smallest)


def _check_unit_range(low: np.ndarray, high: np.ndarray, name: object) -> None:
    if low.min() < 0 or high.max() > 1:
        raise UNetError(f"{name}: floating-point numbers from {low.min():.4g} to {high.max():.4g}, and normalize range "
                        f"expects 0 to 1; set normalize to percentile, minmax or zscore")


# ---- statistics of a page, channel by channel


def extremes(bands: Bands) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest finite number of each channel, (C,) float64; 0 and 0 if there is none."""
    low = high = None
    for rows in bands():
        finite = np.isfinite(rows) if rows.dtype.kind == "f" else True
        least, most = _fold(np.min, rows, finite, np.inf), _fold(np.max, rows, finite, -np.inf)
        low = least if low is None else np.minimum(low, least)
        high = most if high is None else np.maximum(high, most)
    assert low is not None and high is not None
    none = low > high
    return np.where(none, 0, low), np.where(none, 0, high)


def _fold(function: Callable, rows: np.ndarray, finite: np.ndarray | bool, empty: float) -> np.ndarray:
    if finite is True:
        return function(rows, axis=(0, 1)).astype(np.float64)
    return function(rows, axis=(0, 1), where=finite, initial=empty).astype(np.float64)


def mean_and_deviation(bands: Bands) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the finite numbers of each channel, (C,) float64 each."""
    count = mean = squares = np.float64(0)
    for rows in bands():
        finite = np.isfinite(rows)
        numbers = np.where(finite, rows, 0).astype(np.float64)
        new = finite.sum(axis=(0, 1))
        own = numbers.sum(axis=(0, 1)) / np.maximum(new, 1)
        # The sums of two parts of the numbers, put together (Chan, Golub, LeVeque 1983).
        total = np.maximum(count + new, 1)
        squares = squares + np.where(finite, (numbers - own) ** 2, 0).sum(axis=(0, 1)) \
            + (own - mean) ** 2 * count * new / total
        mean = mean + (own - mean) * new / total
        count = count + new
    deviation = np.sqrt(squares / np.maximum(count, 1))
    return np.asarray(mean), np.where(deviation > 1e-12 * np.abs(mean), deviation, 0)


def percentiles(bands: Bands, dtype: np.dtype, shares: Sequence[float]) -> np.ndarray:
    """Return percentiles of the finite numbers of each channel, (shares, C) float64, as numpy.percentile defines them.

    They are exact for numbers of up to 16 bits and for float32, which stands for all longer numbers.
    """
    upper = _histogram(bands, dtype)
    counts = upper.sum(axis=1)
    ranks = (counts - 1)[None] * np.asarray(shares, np.float64)[:, None] / 100     # (shares, C)
    low, high = np.floor(ranks).astype(np.int64), np.ceil(ranks).astype(np.int64)
    wanted = np.concatenate([low, high]).clip(0)
    places = np.stack([np.searchsorted(np.cumsum(own), rank, side="right") for own, rank in zip(upper, wanted.T)], -1)
    places = places.clip(0, _BINS - 1)
    if _is_long(dtype):
        below = np.stack([np.cumsum(own)[place] - own[place] for own, place in zip(upper, places.T)], axis=-1)
        places = _refine(bands, places, wanted - below)
    found = _numbers(places, dtype)
    first, second = found[:len(shares)], found[len(shares):]
    return np.where(counts > 0, first + (second - first) * (ranks - low), 0)


_BINS = 1 << 16


def _is_long(dtype: np.dtype) -> bool:
    return dtype.kind == "f" or dtype.itemsize > 2


def _keys(rows: np.ndarray) -> np.ndarray:
    """Return whole numbers in the order of ``rows``: 16 bits of short numbers, 32 bits of all others."""
    if not _is_long(rows.dtype):
        return rows.astype(np.int64) + (32768 if rows.dtype.kind == "i" else 0)
    bits = rows.astype(np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.int64)


def _numbers(keys: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Undo ``_keys``."""
    if not _is_long(dtype):
        return keys.astype(np.float64) - (32768 if dtype.kind == "i" else 0)
    keys = keys.astype(np.uint32)
    bits = np.where(keys >> 31, keys & np.uint32(0x7fffffff), ~keys).astype(np.uint32)
    return bits.view(np.float32).astype(np.float64)


def _histogram(bands: Bands, dtype: np.dtype) -> np.ndarray:
    """Count the numbers by the upper 16 bits of their keys: (C, 65536)."""
    shift = 16 if _is_long(dtype) else 0
    counts: np.ndarray | int = 0
    for rows in bands():
        counts = counts + np.stack([np.bincount(_keys(_finite(rows[..., channel])) >> shift, minlength=_BINS)
                                    for channel in range(rows.shape[2])])
    assert isinstance(counts, np.ndarray)
    return counts


def _finite(numbers: np.ndarray) -> np.ndarray:
    return numbers[np.isfinite(numbers)] if numbers.dtype.kind == "f" else numbers.ravel()


def _refine(bands: Bands, places: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Find whole keys: of the numbers whose upper bits are ``places``, those of the given ranks; (ranks, C) each."""
    counts = np.zeros((*places.shape, _BINS), np.int64)
    for rows in bands():
        for channel in range(rows.shape[2]):
            keys = _keys(_finite(rows[..., channel]))
            upper = keys >> 16
            for row, place in enumerate(places[:, channel]):
                counts[row, channel] += np.bincount(keys[upper == place] & (_BINS - 1), minlength=_BINS)
    lower = (np.cumsum(counts, axis=2) <= ranks[..., None]).sum(axis=2).clip(0, _BINS - 1)
    return places << 16 | lower
