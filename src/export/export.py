"""A checkpoint as a file for other runtimes: MINDIR, ONNX, AIR, or a package of bioimage.io."""
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.data.input_options import follow, input_options, to_text
from src.export.bioimageio_options import check_options
from src.export.bioimageio_package import write_package
from src.export.network_file import describe, write_sidecar
from src.export.onnx_graph import fix_graph
from src.export.onnx_model import OnnxNetwork
from src.export.quantize import Quantizer
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import encodable_path, replacing, with_ending
from src.model_utils.options import NATIVE
from src.model_utils.runtime import cap_cpu_instruction_set, start_runtime
from src.networks.inference_network import UnetEval, predictor
from src.networks.layers import MINDSPORE, Layers
from src.networks.registry import (
    NetworkSpec,
    build_network,
    entry,
    largest_size,
    output_channels,
    output_size,
    probabilities,
    receptive_field,
    smallest_size,
)
from src.tiling.predictor import LARGEST_WINDOW, Windows, size_in_training
from src.training.checkpoint_contents import CheckpointContents

logger = logging.getLogger("unet")

LARGEST_DIFFERENCE = 1e-4

ONNX_FORMATS = ("ONNX", "BIOIMAGEIO")
ENDINGS = {"BIOIMAGEIO": ".zip"}       # of formats whose name is not their ending


@dataclass(frozen=True)
class ExportJob:
    """A checkpoint, and the file that it becomes.

    Attributes:
        spec: the network.
        contents: the checkpoint.
        path: the file.
        shape: (N, C, H, W) of the images.
        activate: Softmax, Argmax or Sigmoid.
        is_dynamic: ONNX: batch, height and width are free.
        colors: of the classes.
        quantize: ONNX: replaces the file by one of eight bits.
        config: the user's options; None in the cache, whose files are used with the options of each call.
    """
    spec: NetworkSpec
    contents: CheckpointContents
    path: Path
    shape: tuple[int, int, int, int]
    activate: str
    is_dynamic: bool = False
    colors: list[list[int]] = field(default_factory=list)
    quantize: Callable[[Path], None] | None = None
    config: Config | None = None


def export(config: Config) -> None:
    """Write the file that the options ask for. It appears only if its results are those of the network.

    Args:
        config (Config): uses checkpoint_file_path, file_format, file_name, batch_size (of the command line), width,
            height, eval_activate, dynamic, and the network's options.

    Raises:
        UNetError: options that do not fit together, a checkpoint that cannot be read, or a file whose results differ
            from the network's.
    """
    # MindSpore writes files only from compiled graphs.
    device = start_runtime(config.replace(context_mode="graph")).device
    contents = CheckpointContents(config.checkpoint_file_path)
    stored = input_options(contents.state, contents.path)
    config = follow(config, stored, contents.path)
    spec, size = NetworkSpec.from_config(config), input_size(config)
    if config.file_format == "AIR" and device != "Ascend":
        raise UNetError(f"file_format AIR needs device_target Ascend, this is {device}; export MINDIR or ONNX, "
                        f"or run export.py on a machine with an Ascend card")
    result_size = output_size(spec.model_name, size)
    path = with_ending(config.file_name, ENDINGS.get(config.file_format, f".{config.file_format.lower()}"))
    is_dynamic = _is_dynamic(config, can_be=config.file_format in ONNX_FORMATS and result_size == size)
    fixed_size = None if is_dynamic else size
    if config.file_format == "BIOIMAGEIO":
        check_options(config, fixed_size, receptive_field(spec))
    job = ExportJob(spec, contents, path, (_batch_size(config), spec.num_channels, *size), config.eval_activate,
                    is_dynamic, config.color,
                    _quantizer(config, spec, "normalize" in stored, fixed_size), config)
    WRITERS[config.file_format](job)
    is_argmax = config.eval_activate == "Argmax"
    result_shape = (job.shape[0], *result_size, *(() if is_argmax else (output_channels(spec),)))
    logger.info("exported: %s, %.1f MB; input %s float32, output %s %s%s", path.resolve(), path.stat().st_size / 1e6,
                job.shape, result_shape, "int32" if is_argmax else "float32",
                "; batch, height and width are free" if job.is_dynamic else "")


def _batch_size(config: Config) -> int:
    """Return the batch of the file. A YAML file's batch_size is that of the training."""
    return config.batch_size if "batch_size" in config.on_command_line else 1


def _quantizer(config: Config, spec: NetworkSpec, is_normalized: bool,
               fixed_size: tuple[int, int] | None) -> Quantizer | None:
    if config.quantize == "float32":
        return None
    if config.file_format != "ONNX":
        raise UNetError(f"quantize is for ONNX files; this is {config.file_format}; set file_format to ONNX")
    if _batch_size(config) != 1:
        raise UNetError(f"quantize: the images that set the ranges go through the network one by one, and batch_size "
                        f"is {config.batch_size}; leave batch_size out: the file then takes any batch")
    return Quantizer(config, is_normalized,
                     Windows(receptive_field(spec), config.tile_size or LARGEST_WINDOW, fixed_size,
                             spec.num_classes))


def _is_dynamic(config: Config, can_be: bool) -> bool:
    """Return whether batch, height and width of the file are free: if possible, unless the command line gives one.

    Raises:
        UNetError: ``dynamic`` is True for a file that cannot be so, or whose size the command line gives.
    """
    if config.dynamic is None:
        return can_be and not {"batch_size", "height", "width"} & config.on_command_line
    if config.dynamic and not can_be:
        raise UNetError(f"dynamic is for ONNX files of all networks except unet_medical; this is {config.file_format} "
                        f"of {config.model_name}")
    if config.dynamic and (sides := sorted({"height", "width"} & config.on_command_line)):
        raise UNetError(f"dynamic is True, which leaves height and width free, and {' and '.join(sides)} "
                        f"{'are' if len(sides) > 1 else 'is'} given; leave out {' and '.join(sides)}, or give "
                        f"--dynamic=False for a file that takes only this size")
    return config.dynamic


def input_size(config: Config) -> tuple[int, int]:
    """Return (height, width) of the file's input; one that is not given is the largest within that of the training."""
    if config.height and config.width:
        return config.height, config.width
    height, width = largest_size(config.model_name, size_in_training(config))
    size = config.height or height, config.width or width
    logger.info("the input is %dx%d (height x width): without width or height, it is the largest within %s that %s can "
                "take", *size, "train_crop" if config.image_size == NATIVE else "image_size", config.model_name)
    return size


def write_mindir(job: ExportJob) -> None:
    """Write a MINDIR file."""
    with replacing(job.path) as temporary:
        _write(_cell(job, MINDSPORE), job.shape, temporary, "MINDIR")
        with encodable_path(temporary) as file:
            cell = nn.GraphCell(ms.load(str(file)))
        _compare(lambda images: cell(Tensor(images)).asnumpy(), job, [job.shape])
        write_sidecar(job.path, _about(job))


def write_onnx(job: ExportJob) -> None:
    """Write an ONNX file."""
    if not hasattr(ms, "onnx"):
        raise UNetError(f"MindSpore {ms.__version__} has no mindspore.onnx.export; install 2.7.2 or newer")
    spec = job.spec
    shapes = [job.shape]
    if job.is_dynamic:
        batch, channels, step = job.shape[0], job.shape[1], smallest_size(spec.model_name)
        shapes += [(batch + 1, channels, 2 * step, 5 * step), (1, channels, 7 * step, 4 * step)]
    with replacing(job.path) as temporary:
        _write(_cell(job, ExportLayers()), job.shape, temporary, "ONNX")
        fix_graph(temporary, entry(spec.model_name).upsampling(spec), job.is_dynamic, to_text(_about(job)))
        _compare(OnnxNetwork(temporary), job, shapes)
        if job.quantize:
            job.quantize(temporary)


def _about(job: ExportJob) -> dict[str, Any]:
    return describe(job.spec, job.contents.state, job.config, job.activate,
                    None if job.is_dynamic else job.shape[2:], job.colors)


def write_air(job: ExportJob) -> None:
    """Write an AIR file, without comparing it: only an Ascend card can run it."""
    with replacing(job.path) as temporary:
        _write(_cell(job, MINDSPORE), job.shape, temporary, "AIR")
        write_sidecar(job.path, _about(job))


def write_bioimageio(job: ExportJob) -> None:
    """Write a package of bioimage.io."""
    assert job.config
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.onnx"
        write_onnx(replace(job, path=weights))
        write_package(job.path, weights, job.config, receptive_field(job.spec))


WRITERS = {"MINDIR": write_mindir, "ONNX": write_onnx, "AIR": write_air, "BIOIMAGEIO": write_bioimageio}


def _write(cell: nn.Cell, shape: tuple[int, ...], path: Path, file_format: str) -> None:
    # MindSpore cannot write to a path with spaces, so it writes to another one first.
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / f"network.{file_format.lower()}"
        if file_format == "ONNX":
            ms.onnx.export(cell, _zeros(shape), file_name=str(plain))
        else:
            ms.export(cell, _zeros(shape), file_name=str(plain), file_format=file_format)
        shutil.copyfile(plain, path)


class ExportLayers(Layers):
    """MindSpore's layers, except upsampling, which MindSpore cannot write to ONNX."""

    def upsample(self, mode: str = "bilinear") -> nn.Cell:
        """Make a nearest upsampling for both modes; ``fix_graph`` replaces it by the right one."""
        return _NearestUpsample()


class _NearestUpsample(nn.Cell):
    """(N, C, H, W) -> (N, C, 2H, 2W)."""

    def construct(self, x):
        return ops.ResizeNearestNeighbor((2 * x.shape[2], 2 * x.shape[3]))(x)


def _network(job: ExportJob, layers: Layers) -> nn.Cell:
    network = build_network(job.spec, layers)
    job.contents.load_into(network)
    return network


def _cell(job: ExportJob, layers: Layers) -> nn.Cell:
    """Return a new cell for each export, since MindSpore can export a cell to ONNX only once."""
    return UnetEval(_network(job, layers), job.activate).set_train(False)


def _zeros(shape):
    return Tensor(np.zeros(shape, np.float32))


def _compare(run: Callable[[np.ndarray], np.ndarray], job: ExportJob,
             shapes: list[tuple[int, int, int, int]]) -> None:
    """Run the exported file and the network on random images of each shape, and log the largest difference.

    Raises:
        UNetError: it is larger than LARGEST_DIFFERENCE.
    """
    cap_cpu_instruction_set()       # the network runs on MindSpore's own kernels
    rng = np.random.default_rng(0)
    images = [rng.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]
    results = [run(batch) for batch in images]
    with _without_compiling():
        reference = predictor(_network(job, MINDSPORE), probabilities(job.spec))
        differences = [largest_difference(result, reference(batch)) for result, batch in zip(results, images)]
    logger.info("largest difference to the network: %.1e (%s)", max(differences),
                ", ".join("x".join(map(str, shape)) for shape in shapes))
    if not max(differences) <= LARGEST_DIFFERENCE:     # not-a-number fails too
        raise UNetError(f"{job.contents.path}: the exported file differs from the network by "
                        f"{max(differences):.1e}, more than {LARGEST_DIFFERENCE:.0e}; no file was written")


@contextmanager
def _without_compiling() -> Iterator[None]:
    """Run networks operator by operator: for one run of each shape, compiling takes many times as long as the run."""
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        yield
    finally:
        ms.set_context(mode=mode)


def largest_difference(result: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the largest difference of a result from the network's (N, h, w, classes) probabilities.

    For class numbers (N, h, w), a pixel's difference is the probability of its most probable class less the
    probability of the given class. So a rounding error where two classes are equally probable counts as a small one.
    """
    if result.ndim == probabilities.ndim:
        return float(np.abs(result - probabilities).max())
    chosen = np.take_along_axis(probabilities, result[..., None].astype(np.int64), axis=-1)[..., 0]
    return float((probabilities.max(axis=-1) - chosen).max())
