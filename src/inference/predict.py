"""Masks of images without labels, from checkpoints or an ONNX file."""
import logging
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from tqdm import tqdm

from src.data.image_reader import ImageFile, count_pages, list_image_files, read_pages
from src.inference.mask_writer import MaskOptions, MaskWriter
from src.inference.resizing import ResizedImage, RowResizer
from src.inference.tiling import choose_window, count_windows, predict_rows
from src.inference.tta import with_flips
from src.inference.window_predictor import WindowPredictor, load_predictor
from src.model_utils.config import Config
from src.model_utils.errors import UNetError

logger = logging.getLogger("unet")

# Side of the largest window if no option sets it. Beyond it the memory grows faster than the speed.
LARGEST_WINDOW = 768


def predict(config: Config) -> int:
    """Write the masks of all images at data_path.

    A bad file among several is reported, and the others are predicted.

    Args:
        config (Config): data_path, output_path, what ``load_predictor`` and ``MaskOptions`` use, tile_size and tta.

    Returns:
        int: number of files that could not be predicted.

    Raises:
        UNetError: there is no image, the only one cannot be read, or the network cannot be loaded.
    """
    files = list_image_files(config.data_path)
    writer = MaskWriter(MaskOptions.from_config(config))     # before the network, since it fails sooner
    probability_rows = partial(_probability_rows, load_predictor(config), config.tile_size or LARGEST_WINDOW,
                               config.tta)
    failed, pages, started = 0, 0, time.perf_counter()
    with tqdm(total=len(files), unit="file", disable=None, file=sys.stderr) as progress:
        for file in files:
            try:
                pages += _predict_file(file, config.num_channels, writer, probability_rows)
            except UNetError as error:
                if len(files) == 1:
                    raise
                failed += 1
                tqdm.write(f"error: {error}", file=sys.stderr)
            progress.update()
    seconds = time.perf_counter() - started
    logger.info("%d images of %d files in %.1f s, %.3g images/s", pages, len(files) - failed, seconds,
                pages / seconds)
    logger.info("masks: %s", writer.folder)
    if writer.submission_folder:
        logger.info("submission, 0 for membrane to 1 for cell: %s", writer.submission_folder)
    if failed:
        logger.info("%d of %d files could not be predicted", failed, len(files))
    return failed


def _predict_file(file: ImageFile, num_channels: int, writer: MaskWriter,
                  probability_rows: Callable[[np.ndarray, str], Iterator[np.ndarray]]) -> int:
    """Predict all pages of a file; return their number."""
    pages = 0
    count = count_pages(file)
    with writer.open(file, count) as output:
        for pixels in read_pages(file, num_channels):
            pages += 1
            title = f"{file.path.name}, page {pages} of {count}" if count > 1 else file.path.name
            output.add(pixels, probability_rows(pixels, title))
    return pages


def _probability_rows(predictor: WindowPredictor, largest_window: int, tta: bool, pixels: np.ndarray,
                      title: str) -> Iterator[np.ndarray]:
    """Yield the rows of the (H, W, classes) probabilities from top to bottom, a band at a time.

    Args:
        predictor: the network.
        largest_window: side of the largest window.
        tta: average over flips and quarter turns.
        pixels: (H, W, C) uint8.
        title: of the progress bar.

    Raises:
        UNetError: ``tta``, and the network takes only windows that are not square.
    """
    height, width = pixels.shape[:2]
    scaled = max(1, round(height * predictor.scale)), max(1, round(width * predictor.scale))
    is_scaled = scaled != (height, width)
    # Test-time augmentation turns the windows, so they have to be square.
    window = choose_window(predictor.field, (max(scaled),) * 2 if tta else scaled, largest_window,
                           predictor.fixed_size)
    if tta and window.input[0] != window.input[1]:
        raise UNetError(f"tta turns the windows, which must be square; the ONNX file takes {window.input[1]}x"
                        f"{window.input[0]}")
    predict_window = with_flips(predictor.predict_window) if tta else predictor.predict_window
    resizer = RowResizer(scaled, (height, width)) if is_scaled else None
    with tqdm(total=count_windows(scaled, window), desc=title, unit="window", leave=False, disable=None,
              file=sys.stderr) as progress:
        for rows in predict_rows(ResizedImage(pixels, scaled) if is_scaled else pixels, window, predict_window,
                                 progress.update):
            yield rows if resizer is None else resizer.feed(rows)
