"""Predictors of images of any size, from predictors of windows."""
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from src.data.augment import Augmentation
from src.data.trained_geometry import TrainedGeometry
from src.data.transforms import to_unit_range
from src.evaluation.evaluate import BandPredictor, Predictor, with_both_classes
from src.model_utils.config import Config
from src.networks.receptive_field import ReceptiveField
from src.networks.registry import NetworkSpec, bytes_per_pixel, largest_size, receptive_field, window_size
from src.tiling.windows import MOST_ROWS, Size, Window, choose_window, count_windows, predict_rows

# Side of the largest window, if no option sets it, while training and for files that do not say how large it may be.
LARGEST_WINDOW = 768
# Memory that a window may take in prediction. With what Python, a band of the result and the image need, it is less
# than 2 GB.
WINDOW_BYTES = 1.05e9
# Of the result's band that is in memory.
BAND_BYTES = 2**29

# MindSpore compiles a graph for each size of windows, so it gets two, whatever those of the images: the largest, and a
# smaller one whose core is about as large as the smallest images of the training, within these sides.
SMALL_CORES = (256, 512)


@dataclass(frozen=True)
class Windows:
    """How images are cut for a network.

    Attributes:
        field: its receptive field.
        largest: side of the largest window.
        fixed_size: (height, width) that all windows must have; None if they may have many sizes.
        num_classes: classes of the result, which memory holds a band of.
        small_core: side of the smaller cores, if windows have two sizes at most, whatever those of the images; 0 if
            they suit each image.
    """
    field: ReceptiveField
    largest: int
    fixed_size: Size | None = None
    num_classes: int = 2
    small_core: int = 0

    @classmethod
    def for_mindspore(cls, config: Config, areas: tuple[int, int] | None, largest: int = LARGEST_WINDOW) -> "Windows":
        """Return those for the network that the options name, when MindSpore runs it.

        Args:
            config: the options.
            areas: smallest and largest area of the images of the training in pixels, if they are known.
            largest: side of the largest window, unless tile_size sets it.

        Raises:
            UNetError: the network cannot take windows of the size that the options ask for.
        """
        spec = NetworkSpec.from_config(config)
        least, most = SMALL_CORES
        small_core = min(most, max(least, math.isqrt(areas[0]))) if areas else least
        return cls(receptive_field(spec), config.tile_size or largest, window_size(spec, size_of_windows(config)),
                   spec.num_classes, small_core)

    def of(self, size: Size) -> Window:
        """Return the windows of an image of (height, width)."""
        most_rows = max(1, BAND_BYTES // (4 * size[1] * self.num_classes))
        largest = choose_window(self.field, size, self.largest, self.fixed_size, most_rows)
        if not self.small_core or self.fixed_size:
            return largest

        def work(window: Window) -> int:
            return count_windows(size, window) * math.prod(window.input)
        inputs = [choose_window(self.field, (core, core), self.largest).input for core in (self.small_core, MOST_ROWS)]
        windows = [choose_window(self.field, size, self.largest, sides, most_rows) for sides in inputs]
        # A smaller window may not hold the whole context where the largest does, and would have a smaller margin.
        return min((window for window in windows if window.margin == largest.margin), key=work)

    @property
    def most_trimmed(self) -> int:
        """How many pixels the results of a trimmed network (see ``src.networks.layers``) may lack at each side.

        It is the margin around the cores; 0 if windows have one size, or do not hold the whole context.
        """
        if self.field.margin_lost or self.fixed_size:
            return 0
        margin = choose_window(self.field, (MOST_ROWS, MOST_ROWS), self.largest).margin
        return margin if margin == self.field.context else 0

    @property
    def most_pixels(self) -> int:
        """Pixels of the windows that are predicted at once: so many small windows as one of the largest has.

        For MindSpore it is one window, since the number of windows is part of the size that it compiles for.
        """
        return 1 if self.small_core else self.largest ** 2


def side_in_memory(spec: NetworkSpec) -> int:
    """Return the side of the largest window for a network in prediction."""
    return int(math.sqrt(WINDOW_BYTES / bytes_per_pixel(spec)))


def size_of_windows(config: Config) -> Size:
    """Return (height, width) of the windows that the options ask for, for networks whose windows have one size."""
    return (config.tile_size, config.tile_size) if config.tile_size else size_in_training(config)


def size_in_training(config: Config) -> Size:
    """Return (height, width) of the network's input in training: image_size, or the patches of native images.

    Where the options do not say how large these were, it is the largest window that the network can take.
    """
    if sizes := TrainedGeometry.of_options(config).sizes:
        return sizes.input
    patches = Augmentation(crop=config.train_crop).crop_size
    return patches or largest_size(config.model_name, (LARGEST_WINDOW, LARGEST_WINDOW))


def in_windows(predict: Predictor, windows: Windows, input_min: int) -> BandPredictor:
    """Make a predictor of images of any size.

    Args:
        predict: (n, C, h, w) float32 -> (n, h', w', classes).
        windows: how to cut the images.
        input_min: lower end of the input range.

    Returns:
        Callable: (1, C, H, W), uint8 or float32 as ``src.data.normalization`` gives it, -> an iterator over bands of
        its probabilities from top to bottom, (1, rows, W, classes) float32.
    """
    def predict_image(images: np.ndarray) -> Iterator[np.ndarray]:
        pixels = images[0].transpose(1, 2, 0)
        for rows in predict_rows(pixels, windows.of(pixels.shape[:2]), on_pixels(predict, input_min),
                                 windows.most_pixels):
            yield rows[None]
    return predict_image


def on_pixels(predict: Predictor, input_min: int) -> Predictor:
    """Make a predictor of pixels (n, h, w, C), uint8 or normalized float32."""
    def predict_pixels(pixels: np.ndarray) -> np.ndarray:
        scaled = to_unit_range(pixels, input_min)
        return with_both_classes(predict(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))))
    return predict_pixels
