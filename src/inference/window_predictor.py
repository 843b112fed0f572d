"""Loading what the options name for prediction: an ONNX file, a checkpoint, or several that are averaged."""
import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.data.samples import input_min
from src.data.transforms import channels_first, to_unit_range
from src.evaluation.evaluate import Predictor, with_both_classes
from src.export.onnx_cache import as_onnx, window_side
from src.export.onnx_model import OnnxNetwork
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.networks.receptive_field import ReceptiveField
from src.training.fold_results import fold_checkpoints, read_results

logger = logging.getLogger("unet")

# Used for ONNX files whose metadata lack them: the values of a U-Net of five levels with bilinear upsampling.
CONTEXT, STRIDE = 128, 16


@dataclass(frozen=True)
class WindowPredictor:
    """A network, or the mean of several, and what cutting images into windows must know about it.

    Attributes:
        predict: gives probabilities, see ``src.evaluation.evaluate``.
        field: the network's receptive field.
        fixed_size: (height, width) of its input, if all windows must have one size.
        scale: factor by which images are resized for it.
        input_min: lower end of its input range, -1 or 0; the upper end is 1.
    """
    predict: Predictor
    field: ReceptiveField
    fixed_size: tuple[int, int] | None
    scale: float
    input_min: int

    def predict_window(self, pixels: np.ndarray) -> np.ndarray:
        """Predict one window: (h, w, C) uint8 -> (h', w', classes) float32 probabilities."""
        return with_both_classes(self.predict(channels_first(to_unit_range(pixels, self.input_min))[None])[0])


class _Networks(NamedTuple):
    """Networks of one kind; ``scales`` are the factors by which training resized the images of each."""
    predictors: Sequence[Predictor]
    field: ReceptiveField
    fixed_size: tuple[int, int] | None
    scales: list[float]


def load_predictor(config: Config) -> WindowPredictor:
    """Load the ONNX file or the checkpoints that the options name.

    Args:
        config (Config): file_name or checkpoint_file_path, backend, scale, tile_size, input_range, the network's
            options, and those of the device.

    Raises:
        UNetError: a file is missing, damaged or of another network, or options that do not fit together.
    """
    networks = _load(config)
    is_folds = Path(config.checkpoint_file_path).is_dir()
    return WindowPredictor(mean_of(networks.predictors), networks.field, networks.fixed_size,
                           config.scale or _common_scale(networks.scales, is_folds), input_min(config.input_range))


def _load(config: Config) -> _Networks:
    if config.file_name.lower().endswith(".onnx"):
        return _onnx_networks([OnnxNetwork(config.file_name, config.device_target)], config.num_channels,
                              config.num_classes)
    paths = _checkpoints(config)
    files = as_onnx(config, paths)
    if files is None:
        return _mindspore_networks(config, paths)
    logger.info("ONNX Runtime is faster on a CPU than MindSpore's own kernels, so %s is used instead of %s "
                "(--backend=mindspore runs the checkpoint itself)", ", ".join(map(str, files)),
                config.checkpoint_file_path)
    # Separate sessions would each keep the memory of the largest window.
    return _onnx_networks([OnnxNetwork(path, config.device_target, len(files) > 1) for path in files],
                          config.num_channels, config.num_classes)


def _checkpoints(config: Config) -> list[Path]:
    """Return the checkpoints that the options name: one, several, or those of a folder of folds."""
    given = config.checkpoint_file_path.strip()
    if given and Path(given).is_dir():
        paths = fold_checkpoints(given, config.checkpoint_path, config.model_name)
        logger.info("the mean of %d folds: %s", len(paths), ", ".join(map(str, paths)))
        finished, folds = read_results(given)
        if len(finished) < folds:
            logger.warning("WARNING: only %d of %d folds are finished", len(finished), folds)
        return paths
    paths = [Path(path.strip()) for path in given.split(",") if path.strip()]
    if not paths:
        raise UNetError("nothing to predict with; give --checkpoint_file_path=FILE.ckpt or --file_name=FILE.onnx")
    for path in paths:
        if not path.is_file():
            raise UNetError(f"no such checkpoint: {path}; expected a .ckpt file")
    return paths


def _onnx_networks(networks: list[OnnxNetwork], num_channels: int, num_classes: int) -> _Networks:
    for network in networks:
        network.check(num_channels, num_classes)
    first = networks[0]
    (height, width), result_height = first.input_shape[2:], first.output_shape[1]
    fixed_size = (height, width) if height and width else None
    margin_lost = (height - result_height) // 2 if height and width and result_height else 0
    field = ReceptiveField(margin_lost, int(first.metadata.get("context", CONTEXT)),
                           int(first.metadata.get("grid", STRIDE)))      # files call the stride grid
    predictors = [_one_hot(network, num_classes) if network.activate == "Argmax" else network for network in networks]
    return _Networks(predictors, field, fixed_size, [float(network.metadata.get("scale", 1)) for network in networks])


def _one_hot(network: Predictor, num_classes: int) -> Predictor:
    """Turn class numbers into probabilities of 0 and 1."""
    return lambda images: (np.arange(num_classes) == network(images)[..., None]).astype(np.float32)


def _mindspore_networks(config: Config, paths: list[Path]) -> _Networks:
    from src.inference.assemble import assemble_network
    from src.model_utils.runtime import start_runtime
    from src.networks.inference_network import predictor
    from src.networks.registry import NetworkSpec, probabilities, receptive_field, window_size
    from src.training.checkpoint import CheckpointContents

    device = start_runtime(config).device
    spec = NetworkSpec.from_config(config)
    # Before the network is built, since this check takes no time.
    fixed_size = window_size(spec, window_side(config.tile_size, config.image_size))
    network = assemble_network(config, device)
    shared = _SharedNetwork(network, predictor(network, probabilities(spec)))
    predictors, scales = [], []
    for path in paths:
        contents = CheckpointContents(path)
        contents.check_weights(network)
        predictors.append(partial(shared.predict, contents.weights))
        scales.append(float((contents.state or {}).get("scale", 1)))
    return _Networks(predictors, receptive_field(spec), fixed_size, scales)


class _SharedNetwork:
    """One network that predicts with the weights of several checkpoints in turn.

    So it is compiled once and needs the memory of one network. Changing the weights takes about a hundredth of the
    time of a window.

    Args:
        network (nn.Cell): gets the weights.
        predictor: runs the network.
    """

    def __init__(self, network: Any, predictor: Predictor):
        self.network, self.predictor = network, predictor
        self.weights: dict | None = None

    def predict(self, weights: dict, images: np.ndarray) -> np.ndarray:
        """Predict with ``weights`` (name -> Parameter)."""
        from src.training.checkpoint import put_parameters

        if self.weights is not weights:
            put_parameters(self.network, weights)
            self.weights = weights
        return self.predictor(images)


def _common_scale(scales: list[float], is_folds: bool) -> float:
    """Return the one factor of all networks; of folds, the median."""
    if is_folds:
        # The training of each fold stores the median of its own images, all of one data set.
        return statistics.median(scales)
    if len(set(scales)) > 1:
        raise UNetError(f"the models were trained on images resized by different factors ({sorted(set(scales))}); "
                        f"choose one with --scale")
    return scales[0]


def mean_of(predictors: Sequence[Predictor]) -> Predictor:
    """Return a predictor that gives the mean of the results of all."""
    return predictors[0] if len(predictors) == 1 else partial(_mean, predictors)


def _mean(predictors: Sequence[Predictor], images: np.ndarray) -> np.ndarray:
    total = predictors[0](images).copy()
    for predict in predictors[1:]:
        total += predict(images)
    return total / np.float32(len(predictors))
