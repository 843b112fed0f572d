"""Prediction of the pages of image files, as evaluation predicts its samples.

A network that was trained on images of one size sees a page resized to it. All others, and pages far from the sizes of
the training, are predicted in windows.
"""
import logging
import sys
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from src.data.data_options import channels_of, normalization_of
from src.data.input_options import geometry_of
from src.data.notices import say_once
from src.data.sample_transforms import ResizingTransform
from src.data.trained_geometry import FAR, TrainedGeometry
from src.data.transforms import channels_first
from src.evaluation.evaluate import volume_bands
from src.inference.loaded_network import LoadedNetwork
from src.inference.page_image import PageImage
from src.inference.resizing import ResizedImage, RowResizer
from src.inference.result_files import STRIP
from src.model_utils.errors import printable
from src.tiling.predictor import on_pixels
from src.tiling.windows import count_windows, predict_rows

logger = logging.getLogger("unet")

# Of a result that is resized at once: most rows, and most memory of what becomes of them.
RESIZED_ROWS, RESIZED_BYTES = 64, 2**26


class PagePredictor:
    """Predicts pages with a network; of its options it uses tile_size, scale, tta, eval_activate and num_classes.

    Attributes:
        network: the network.
        channels, normalization: how pages are read for it.

    Raises:
        UNetError: ``tta``, and the network takes only images that are not square.
    """

    def __init__(self, network: LoadedNetwork):
        self.network, self.config = network, network.config
        self.channels, self.normalization = channels_of(self.config), normalization_of(self.config)
        self.predict, self.predict_window = network.averaged(), network.averaged(of_windows=True)
        self.resized = self._resized_as()
        self.transform = self.resized.transform(self.normalization) if self.resized else None

    def rows(self, page: PageImage, title: str) -> Iterator[np.ndarray]:
        """Yield the (H, W, classes) probabilities of a page from top to bottom, a band at a time.

        Args:
            page: the page.
            title: of the progress bar.
        """
        height, width = page.shape[:2]
        if self.resized is None or self.transform is None:
            yield from self._in_windows(page, title)
        elif self.resized.knows((height, width)):
            yield from self._as_in_training(page, self.transform)
        else:
            say_once(f"{page.page.path} ({width}x{height})",
                     f"more than {FAR} times as many pixels, or as few, as the images of the training; scaled by "
                     f"{self.network.scale:.4g} for both sides, and predicted in windows")
            yield from self._in_windows(page, title)

    def _resized_as(self) -> TrainedGeometry | None:
        """Return to which size pages are resized; None predicts all of them in windows."""
        geometry = None if self.config.scale else geometry_of(self.config, self.network.stored)
        if geometry is None or geometry.sizes is None:
            return None
        height, width = geometry.sizes.input
        if self.network.fixed_size not in (None, (height, width)):
            reason = "the file takes {1}x{0} only".format(*self.network.fixed_size)
        elif 0 < self.config.tile_size < max(height, width):
            reason = f"tile_size is {self.config.tile_size}"
        else:
            return geometry
        logger.info("images are scaled by %.4g and predicted in windows, not resized to %dx%d as in training: %s",
                    self.network.scale, width, height, reason)
        return None

    def _as_in_training(self, page: PageImage, transform: ResizingTransform) -> Iterator[np.ndarray]:
        """Yield the rows of a page that is resized as in training, and whose result is resized as in evaluation."""
        height, width = page.shape[:2]
        pixels = page[np.arange(height)[:, None], np.arange(width)]
        output = self.predict(channels_first(transform.image(pixels))[None])[0]
        activate = self.network.activate
        if "Argmax" in (activate, self.config.eval_activate):
            activate, output = "Argmax", output.argmax(axis=-1)
        return volume_bands(output, (height, width), self.config.network_classes, activate, STRIP)

    def _in_windows(self, page: PageImage, title: str) -> Iterator[np.ndarray]:
        height, width = page.shape[:2]
        scaled = max(1, round(height * self.network.scale)), max(1, round(width * self.network.scale))
        is_scaled = scaled != (height, width)
        window = self.network.windows.of(scaled)
        resizer = RowResizer(scaled, (height, width)) if is_scaled else None
        row_bytes = 4 * width * self.config.network_classes * max(1, height / scaled[0])
        step = max(1, min(RESIZED_ROWS, int(RESIZED_BYTES / row_bytes)))
        with tqdm(total=count_windows(scaled, window), desc=printable(title), unit="window", leave=False, disable=None,
                  file=sys.stderr) as progress:
            for rows in predict_rows(ResizedImage(page, scaled) if is_scaled else page, window,
                                     on_pixels(self.predict_window, self.normalization.input_min),
                                     self.network.windows.most_pixels, progress.update):
                if resizer is None:
                    yield rows
                else:       # a few rows at a time, of which each may become many
                    for top in range(0, len(rows), step):
                        yield resizer.feed(rows[top:top + step])
