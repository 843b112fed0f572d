"""Masks of pictures without labels, from checkpoints or an ONNX file."""
import logging
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from src.data.image_reader import count_pages, list_image_files, read_pages
from src.data.samples import input_min
from src.data.transforms import channels_first, to_unit_range
from src.evaluation.evaluate import with_both_classes
from src.export.onnx_cache import as_onnx
from src.export.onnx_model import OnnxNetwork
from src.inference.mask_writer import MaskWriter
from src.inference.tiling import Resized, RowResizer, choose_window, count_windows, mean_of, predict_rows
from src.inference.tta import with_flips
from src.model_utils.errors import UNetError
from src.networks.receptive_field import ReceptiveField
from src.training.fold_results import fold_checkpoints, read_results

logger = logging.getLogger("unet")

# Where a foreign ONNX file does not say: what a U-Net of five levels with bilinear upsampling needs.
CONTEXT, GRID = 128, 16

# Windows grow up to this side where nothing else sets their size; beyond it the memory grows faster than the speed.
LARGEST_WINDOW = 768


@dataclass(frozen=True)
class Model:
    """What predicts.

    Attributes:
        run: (1, C, h, w) float32 -> (1, h', w', classes) float32 probabilities, or
            (1, h', w', 1) of class 1 of two.
        field: how it maps input to output.
        fixed: (height, width) of its input, where it takes no other, or valid convolutions make all windows alike.
        scale: factor by which pictures are resized for it.
        low: lower end of the range of its input, whose upper end is 1.
    """
    run: Callable
    field: ReceptiveField
    fixed: tuple | None
    scale: float
    low: int

    def run_on_pixels(self, pixels):
        """``run`` for one window: (h, w, C) uint8 -> (h', w', classes) float32."""
        return with_both_classes(self.run(channels_first(to_unit_range(pixels, self.low))[None])[0])


def predict(config):
    """Write the masks of all pictures at data_path.

    A bad file among several is reported, and the rest goes on.

    Args:
        config (Config): options.

    Returns:
        int: number of files that could not be read.

    Raises:
        UNetError: no picture, the only one unreadable, or a model that cannot be had.
    """
    pictures = list_image_files(config.data_path)
    writer = MaskWriter(config)     # before the model, as it is the quicker one to refuse
    model = load_model(config)
    failed, pages, started = 0, 0, time.perf_counter()
    with tqdm(total=len(pictures), unit="file", disable=None, file=sys.stderr) as progress:
        for picture in pictures:
            try:
                pages += _predict_picture(picture, model, config, writer)
            except UNetError as error:
                if len(pictures) == 1:
                    raise
                failed += 1
                tqdm.write(f"error: {error}", file=sys.stderr)
            progress.update()
    seconds = time.perf_counter() - started
    logger.info("%d images of %d files in %.1f s, %.3g images/s", pages, len(pictures) - failed, seconds,
                pages / seconds)
    logger.info("masks: %s", writer.folder)
    if writer.submission_folder:
        logger.info("submission, 0 for membrane to 1 for cell: %s", writer.submission_folder)
    if failed:
        logger.info("%d of %d files could not be predicted", failed, len(pictures))
    return failed


def _predict_picture(picture, model, config, writer):
    """Predict all pages of a file; returns their number."""
    pages = 0
    count = count_pages(picture)
    with writer.open(picture, count) as output:
        for pixels in read_pages(picture, config.num_channels):
            pages += 1
            note = f"{picture.path.name}, page {pages} of {count}" if count > 1 else picture.path.name
            output.add(pixels, _probability_rows(pixels, model, config, note))
    return pages


def _probability_rows(pixels, model, config, note):
    """Rows of (H, W, classes) probabilities, top to bottom, a band at a time."""
    size = pixels.shape[:2]
    scaled = tuple(max(1, round(side * model.scale)) for side in size)
    source = pixels if scaled == size else Resized(pixels, scaled)
    # Test-time augmentation turns the windows, so they have to be square.
    window = choose_window(model.field, (max(scaled),) * 2 if config.tta else scaled,
                           config.tile_size or LARGEST_WINDOW, model.fixed)
    if config.tta and window.input[0] != window.input[1]:
        raise UNetError(f"tta turns the windows, which must be square; the ONNX file takes {window.input[1]}x"
                        f"{window.input[0]}")
    run = with_flips(model.run_on_pixels) if config.tta else model.run_on_pixels
    resizer = None if scaled == size else RowResizer(scaled, size)
    with tqdm(total=count_windows(scaled, window), desc=note, unit="window", leave=False, disable=None,
              file=sys.stderr) as progress:
        for rows in predict_rows(source, window, run, progress.update):
            yield rows if resizer is None else resizer.feed(rows)


# ---- models


def load_model(config):
    """The model that the options name: an ONNX file, or one checkpoint or several that are averaged."""
    if config.file_name.lower().endswith(".onnx"):
        return _onnx_model([OnnxNetwork(config.file_name, config.device_target)], config)
    paths = _checkpoints(config)
    files = as_onnx(config, paths)
    if files:
        logger.info("ONNX Runtime is faster on a CPU than MindSpore's own kernels, so %s is used in the place of %s "
                    "(--backend=mindspore runs the checkpoint itself)", ", ".join(map(str, files)),
                    config.checkpoint_file_path)
        # Each session of its own would keep the memory of the largest window.
        return _onnx_model([OnnxNetwork(path, config.device_target, len(files) > 1) for path in files], config)
    return _mindspore_model(config, paths)


def _checkpoints(config):
    """The checkpoints that the options name: one, several, or those of a folder of folds."""
    given = config.checkpoint_file_path.strip()
    if given and Path(given).is_dir():
        paths = fold_checkpoints(given, config.checkpoint_path, config.model_name)
        logger.info("the mean of %d folds: %s", len(paths), ", ".join(map(str, paths)))
        finished, folds = read_results(given)
        if len(finished) < folds:
            logger.warning("WARNING: %d of %d folds are finished by now", len(finished), folds)
        return paths
    paths = [Path(path.strip()) for path in given.split(",") if path.strip()]
    if not paths:
        raise UNetError("nothing to predict with; give --checkpoint_file_path=FILE.ckpt or --file_name=FILE.onnx")
    for path in paths:
        if not path.is_file():
            raise UNetError(f"no such checkpoint: {path}; expected a .ckpt file")
    return paths


def _onnx_model(networks, config):
    for network in networks:
        network.check(config.num_channels, config.num_classes)
    first = networks[0]
    fixed = first.input_shape[2:] if None not in first.input_shape[2:] else None
    lost = (fixed[0] - first.output_shape[1]) // 2 if fixed and first.output_shape[1] else 0
    field = ReceptiveField(lost, int(first.metadata.get("context", CONTEXT)), int(first.metadata.get("grid", GRID)))
    runs = [_one_hot(network, config.num_classes) if network.activate == "Argmax" else network
            for network in networks]
    return Model(mean_of(runs), field, fixed, _scale(config, [network.metadata for network in networks]),
                 input_min(config.input_range))


def _one_hot(network, num_classes):
    return lambda image: (np.arange(num_classes) == network(image)[..., None]).astype(np.float32)


def _scale(config, notes):
    """The option, or what the models' notes say, or 1."""
    if config.scale:
        return config.scale
    scales = [float(note.get("scale", 1)) for note in notes]
    if Path(config.checkpoint_file_path).is_dir():
        # Each fold has noted the median of its own pictures, all of one data set.
        return statistics.median(scales)
    if len(set(scales)) > 1:
        raise UNetError(f"the models were trained on pictures resized by different factors ({sorted(set(scales))}); "
                        f"choose one with --scale")
    return scales[0]


def _mindspore_model(config, paths):
    from src.inference.assemble import assemble_network
    from src.model_utils.runtime import start_runtime
    from src.networks.inference_network import predictor
    from src.networks.registry import NetworkSpec, probabilities, receptive_field, window_size
    from src.training.checkpoint import CheckpointContents

    device = start_runtime(config).device
    spec = NetworkSpec.from_config(config)
    size = window_size(spec, config.tile_size or max(config.image_size))    # first, as it is the quickest to refuse
    network = assemble_network(config, device)
    switch = _Switch(network, predictor(network, probabilities(spec)))
    runs, notes = [], []
    for path in paths:
        contents = CheckpointContents(path)
        contents.check_weights(network)
        runs.append(partial(switch.run, contents.weights))
        notes.append(contents.state or {})
    return Model(mean_of(runs), receptive_field(spec), size, _scale(config, notes), input_min(config.input_range))


class _Switch:
    """One network for the weights of several checkpoints: it is compiled once, and its memory is that of one.

    To put other weights in takes a hundredth of the time of a window.

    Args:
        network (nn.Cell): what the weights belong to.
        predict (callable): runs it.
    """

    def __init__(self, network, predict):
        self.network, self.predict, self.weights = network, predict, None

    def run(self, weights, image):
        """``predict(image)`` with ``weights`` (name -> Parameter) in the network."""
        from src.training.checkpoint import put_parameters

        if self.weights is not weights:
            put_parameters(self.network, weights)
            self.weights = weights
        return self.predict(image)
