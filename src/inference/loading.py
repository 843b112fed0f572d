"""Loading what the options name for prediction: an ONNX file, a checkpoint, or several that are averaged."""
import logging
import statistics
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from src.data.input_options import CLASS_NAMES, GEOMETRY, follow, input_options
from src.data.trained_geometry import TrainedGeometry
from src.evaluation.evaluate import Predictor, one_hot
from src.export.onnx_model import OnnxNetwork
from src.export.onnx_sessions import PROVIDERS, SessionOptions, choose_providers
from src.inference.backend_choice import Measurement, choose_backend, fastest
from src.inference.loaded_network import LoadedNetwork, at_first_use, mean_of
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import with_ending
from src.model_utils.inputs import not_there
from src.model_utils.options import NATIVE
from src.model_utils.packages import import_openvino
from src.tiling.predictor import LARGEST_WINDOW, Windows, side_in_memory
from src.training.checkpoint_files import read_state
from src.training.fold_results import fold_checkpoints, read_results

logger = logging.getLogger("unet")


def load_network(config: Config) -> LoadedNetwork:
    """Load the ONNX file or the checkpoints that the options name.

    Args:
        config (Config): file_name, or what ``load_checkpoints`` uses; and the device.

    Raises:
        UNetError: a file is missing, damaged or of another network, or options that do not fit together.
    """
    is_onnx = names_onnx(config)
    if config.backend == "openvino":
        import_openvino()       # without it, no file need be made for it
    return load_onnx_file(config) if is_onnx else load_checkpoints(config)


def names_onnx(config: Config) -> bool:
    """Return whether the options name an ONNX file, and not checkpoints; the command line wins over a YAML file.

    Raises:
        UNetError: they name both.
    """
    is_onnx = config.file_name.lower().endswith(".onnx")
    _check_one(config, config.on_command_line)
    if is_onnx:
        _check_one(config, config.from_yaml)
    return is_onnx and not (config.checkpoint_file_path and "file_name" in config.from_yaml)


def _check_one(config: Config, given: Collection[str]) -> None:
    """Raise UNetError if both a file and checkpoints are among the options ``given``."""
    if config.checkpoint_file_path and {"file_name", "checkpoint_file_path"} <= set(given):
        raise UNetError(f"file_name {config.file_name} and checkpoint_file_path {config.checkpoint_file_path} are two "
                        f"networks; give one of them")


def _on_cpu(config: Config) -> bool:
    """Return whether ONNX Runtime would run on the CPU."""
    return choose_providers(config.device_target) == [PROVIDERS["CPU"]]


def _check_precision(config: Config) -> None:
    """Raise UNetError if ONNX Runtime is to multiply in bfloat16."""
    if config.backend == "onnx" and config.cpu_precision == "bfloat16" and _on_cpu(config):
        raise UNetError("backend is onnx and cpu_precision is bfloat16, and ONNX Runtime multiplies in float32; use "
                        "--cpu_precision=float32, or --backend=openvino")


def load_onnx_file(config: Config) -> LoadedNetwork:
    """Load the ONNX file ``file_name``; see ``load_network``."""
    _check_one(config, config.on_command_line)
    _check_precision(config)
    if config.backend == "mindspore" and "backend" in config.on_command_line:
        raise UNetError(f"backend mindspore runs checkpoints, and file_name {config.file_name} is an ONNX file; use "
                        f"--backend=onnx or openvino")
    if config.checkpoint_file_path and "checkpoint_file_path" in config.on_command_line:
        raise UNetError(f"checkpoint_file_path {config.checkpoint_file_path}: infer_unet_onnx.py evaluates an ONNX "
                        f"file, given with --file_name; eval.py evaluates checkpoints")
    path = Path(with_ending(config.file_name, ".onnx"))
    options = SessionOptions(config.backend, config.device_target, config.cpu_precision)
    if config.backend == "auto" and path.is_file() and _on_cpu(config):
        if find_spec("openvino"):
            OnnxNetwork(path)       # checks the file before another process reads it
            options = options._replace(backend=fastest(Measurement(config, path), path))
        if config.cpu_precision == "bfloat16" and options.backend != "openvino":
            logger.info("ONNX Runtime runs %s in float32; of ONNX files, only OpenVINO multiplies in bfloat16", path)
    network = OnnxNetwork(path, options)
    config = follow(config, network.options, network.path)
    return replace(_onnx_network(config, network.options, [network], str(network.path), options),
                   files=(network.path,))


def load_checkpoints(config: Config) -> LoadedNetwork:
    """Load the checkpoints that ``checkpoint_file_path`` names; see ``load_network``."""
    _check_one(config, config.on_command_line)
    _check_precision(config)
    paths, name = _checkpoints(config), config.checkpoint_file_path
    stored = _common_inputs([_stored_inputs(path) for path in paths], name)
    config = follow(config, stored, name)
    backend, files = choose_backend(config, paths)
    if files is None:
        return replace(_mindspore_network(config, stored, paths), files=tuple(paths))
    logger.info("%s is used instead of %s (--backend=mindspore runs the checkpoint itself)",
                ", ".join(map(str, files)), name)
    # Separate sessions would each keep the memory of the largest window.
    options = SessionOptions(backend, config.device_target, config.cpu_precision, shares_memory=len(files) > 1)
    networks = [OnnxNetwork(path, options) for path in files]
    return replace(_onnx_network(config, stored, networks, name, options), files=tuple(paths))


def _stored_inputs(path: Path) -> dict[str, Any]:
    """Return the input options in a checkpoint, without MindSpore; damaged files are refused when they are loaded."""
    try:
        return input_options(read_state(path), path)
    except (OSError, ValueError):
        return {}


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
    paths = [Path(path) for path in _paths_in(given)]
    if not paths and "file_name" in config.on_command_line:
        expected = ("eval.py takes checkpoints, with --checkpoint_file_path; infer_unet_onnx.py evaluates ONNX files"
                    if config.file_name.lower().endswith(".onnx") else "expected the name of an ONNX file, NAME.onnx")
        raise UNetError(f"file_name {config.file_name}: {expected}")
    if not paths:
        raise UNetError("nothing to predict with; give --checkpoint_file_path=FILE.ckpt or --file_name=FILE.onnx")
    for path in paths:
        if not path.is_file():
            raise UNetError(f"{not_there(path, 'checkpoint')}; expected a .ckpt file")
    return paths


def _onnx_network(config: Config, stored: dict[str, Any], networks: list[OnnxNetwork], name: str,
                  options: SessionOptions) -> LoadedNetwork:
    for network in networks:
        network.check(config.num_channels, config.network_classes)
    first = networks[0]

    def probabilities(networks: list[OnnxNetwork]) -> Predictor:
        return mean_of([one_hot(network, config.network_classes) if network.activate == "Argmax" else network
                        for network in networks])
    scale = _common_scale(config, [network.scale for network in networks], stored)
    largest = config.tile_size or first.numbers.get("window", LARGEST_WINDOW)
    windows = Windows(first.receptive_field(), largest, first.fixed_size, config.network_classes)
    smaller = options._replace(most_trimmed=windows.most_trimmed)
    of_windows = at_first_use(lambda: probabilities([OnnxNetwork(network.path, smaller) for network in networks])
                              ) if windows.most_trimmed else None
    return LoadedNetwork(probabilities(networks), name, first.provider, first.fixed_size, windows, scale,
                         first.activate, stored, config, predict_window=of_windows)


def _paths_in(text: str) -> list[str]:
    """Return the paths in a list with commas, which a path may have too: each is as long as a file's can be."""
    pieces, paths = text.split(","), []
    while pieces:
        count = next((count for count in range(len(pieces), 0, -1) if Path(",".join(pieces[:count]).strip()).is_file()),
                     1)
        paths.append(",".join(pieces[:count]).strip())
        pieces = pieces[count:]
    return [path for path in paths if path]


def _mindspore_network(config: Config, stored: dict[str, Any], paths: list[Path]) -> LoadedNetwork:
    from src.cpu_ops import choose_backend as choose_layers
    from src.model_utils.runtime import start_runtime
    from src.networks.inference_network import predictor
    from src.networks.registry import NetworkSpec, build_network, probabilities
    from src.training.checkpoint_contents import CheckpointContents

    device = start_runtime(config).device
    spec = NetworkSpec.from_config(config)
    # Before the network is built, since its check takes no time.
    areas = TrainedGeometry.of_dict(stored[GEOMETRY]).areas if GEOMETRY in stored else None
    windows = Windows.for_mindspore(config, areas, side_in_memory(spec))
    # Before the operators are compiled, too: a damaged checkpoint is refused at once.
    contents = [CheckpointContents(path) for path in paths]
    layers = choose_layers(config, device)
    network, activate = build_network(spec, layers), probabilities(spec)
    weights = [one.weights_of(network) for one in contents]
    scales = [(one.state or {}).get("scale", 1) for one in contents]

    def mean(network: Any) -> Predictor:
        shared = _SharedNetwork(network, predictor(network, activate))
        return mean_of([partial(shared.predict, own) for own in weights])
    of_windows = (at_first_use(lambda: mean(build_network(spec, layers.for_windows())))
                  if windows.most_trimmed else None)
    return LoadedNetwork(mean(network), config.checkpoint_file_path, device, None, windows,
                         _common_scale(config, scales, stored), activate, stored, config, predict_window=of_windows)


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
        from src.training.checkpoint_contents import put_parameters

        if self.weights is not weights:
            put_parameters(self.network, weights)
            self.weights = weights
        return self.predictor(images)


def _common_inputs(inputs: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the input options that all networks were trained with, and the areas of the images of all."""
    geometries = [TrainedGeometry.of_dict(options[GEOMETRY]) for options in inputs if GEOMETRY in options]
    areas = [area for geometry in geometries for area in geometry.areas or ()]
    stored = iter([replace(geometry, areas=(min(areas), max(areas)) if areas else None) for geometry in geometries])
    inputs = [{**options, GEOMETRY: next(stored).as_dict()} if GEOMETRY in options else options for options in inputs]
    common: dict[str, Any] = {}
    for options in reversed(inputs):        # so the names of the classes are those of the first that has any
        common |= options
    for option in common:
        values = [options.get(option) for options in inputs]
        if option != CLASS_NAMES and any(value != values[0] for value in values):
            unknown = " (None: the checkpoint does not say)" if None in values else ""
            raise UNetError(f"{name}: the models were trained with different {option}: {values}{unknown}; their "
                            f"results cannot be averaged")
    return common


def _common_scale(config: Config, scales: list[Any], stored: dict[str, Any]) -> float:
    """Return the one factor of all networks; the median, if they were trained on one size or are folds."""
    if config.image_size == NATIVE and not config.scale:
        return 1.0
    scales = [float(scale) for scale in scales]
    if config.scale or len(set(scales)) == 1:
        return config.scale or scales[0]
    if GEOMETRY not in stored and not Path(config.checkpoint_file_path).is_dir():
        raise UNetError(f"the models were trained on images resized by different factors ({sorted(set(scales))}); "
                        f"choose one with --scale")
    # The training of each stores the median of its own images.
    return statistics.median(scales)
