"""A checkpoint as a file for other runtimes: MINDIR, ONNX or AIR."""
import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.export.onnx_graph import fix_graph
from src.export.onnx_model import OnnxNetwork
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import replacing, with_ending
from src.model_utils.runtime import cap_cpu_instruction_set, start_runtime
from src.networks.inference_network import UnetEval, predictor
from src.networks.layers import MINDSPORE, Layers
from src.networks.registry import (
    NetworkSpec,
    build_network,
    entry,
    output_channels,
    output_size,
    probabilities,
    receptive_field,
    smallest_size,
)
from src.training.checkpoint import CheckpointContents

logger = logging.getLogger("unet")

LARGEST_DIFFERENCE = 1e-4


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
    """
    spec: NetworkSpec
    contents: CheckpointContents
    path: Path
    shape: tuple[int, int, int, int]
    activate: str
    is_dynamic: bool = False


def export(config: Config) -> None:
    """Write the file that the options ask for. It appears only if its results are those of the network.

    Args:
        config (Config): uses checkpoint_file_path, file_format, file_name, batch_size, width, height, eval_activate,
            dynamic, and the network's options.

    Raises:
        UNetError: options that do not fit together, a checkpoint that cannot be read, or a file whose results differ
            from the network's.
    """
    # MindSpore writes files only from compiled graphs.
    device = start_runtime(config.replace(context_mode="graph")).device
    spec, size = NetworkSpec.from_config(config), (config.height, config.width)
    if config.file_format == "AIR" and device != "Ascend":
        raise UNetError(f"file_format AIR needs device_target Ascend, this is {device}; export MINDIR or ONNX, "
                        f"or run export.py on a machine with an Ascend card")
    result_size = output_size(spec.model_name, size)
    if config.dynamic and (config.file_format != "ONNX" or result_size != size):
        raise UNetError(f"dynamic is for ONNX files of all networks except unet_medical; this is {config.file_format} "
                        f"of {spec.model_name}")
    path = with_ending(config.file_name, f".{config.file_format.lower()}")
    contents = CheckpointContents(config.checkpoint_file_path)
    job = ExportJob(spec, contents, path, (config.batch_size, spec.num_channels, *size), config.eval_activate,
                    config.dynamic)
    WRITERS[config.file_format](job)
    is_argmax = config.eval_activate == "Argmax"
    result_shape = (config.batch_size, *result_size, *(() if is_argmax else (output_channels(spec),)))
    logger.info("exported: %s, %.1f MB; input %s float32, output %s %s%s", path.resolve(), path.stat().st_size / 1e6,
                job.shape, result_shape, "int32" if is_argmax else "float32",
                "; batch, height and width are free" if config.dynamic else "")


def write_mindir(job: ExportJob) -> None:
    """Write a MINDIR file."""
    with replacing(job.path) as temporary:
        _write(_cell(job, MINDSPORE), job.shape, temporary, "MINDIR")
        cell = nn.GraphCell(ms.load(str(temporary)))
        _compare(lambda images: cell(Tensor(images)).asnumpy(), job, [job.shape])


def write_onnx(job: ExportJob) -> None:
    """Write an ONNX file."""
    if not hasattr(ms, "onnx"):
        raise UNetError(f"MindSpore {ms.__version__} has no mindspore.onnx.export; install 2.7.2 or newer")
    spec, field = job.spec, receptive_field(job.spec)
    metadata = {"model_name": spec.model_name, "num_classes": str(spec.num_classes), "context": str(field.context),
                "grid": str(field.stride)}
    if job.contents.state and "scale" in job.contents.state:
        metadata["scale"] = str(job.contents.state["scale"])
    shapes = [job.shape]
    if job.is_dynamic:
        batch, channels, step = job.shape[0], job.shape[1], smallest_size(spec.model_name)
        shapes += [(batch + 1, channels, 2 * step, 5 * step), (1, channels, 7 * step, 4 * step)]
    with replacing(job.path) as temporary:
        _write(_cell(job, ExportLayers()), job.shape, temporary, "ONNX")
        fix_graph(temporary, entry(spec.model_name).upsampling(spec), job.is_dynamic, metadata)
        _compare(OnnxNetwork(temporary), job, shapes)


def write_air(job: ExportJob) -> None:
    """Write an AIR file, without comparing it: only an Ascend card can run it."""
    with replacing(job.path) as temporary:
        _write(_cell(job, MINDSPORE), job.shape, temporary, "AIR")


WRITERS = {"MINDIR": write_mindir, "ONNX": write_onnx, "AIR": write_air}


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
    reference = predictor(_network(job, MINDSPORE), probabilities(job.spec))
    rng = np.random.default_rng(0)
    differences = []
    for shape in shapes:
        images = rng.uniform(-1, 1, shape).astype(np.float32)
        differences.append(largest_difference(run(images), reference(images)))
    logger.info("largest difference to the network: %.1e (%s)", max(differences),
                ", ".join("x".join(map(str, shape)) for shape in shapes))
    if not max(differences) <= LARGEST_DIFFERENCE:     # not-a-number fails too
        raise UNetError(f"{job.contents.path}: the exported file differs from the network by "
                        f"{max(differences):.1e}, more than {LARGEST_DIFFERENCE:.0e}; no file was written")


def largest_difference(result: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the largest difference of a result from the network's (N, h, w, classes) probabilities.

    For class numbers (N, h, w), a pixel's difference is the probability of its most probable class less the
    probability of the given class. So a rounding error where two classes are equally probable counts as a small one.
    """
    if result.ndim == probabilities.ndim:
        return float(np.abs(result - probabilities).max())
    chosen = np.take_along_axis(probabilities, result[..., None].astype(np.int64), axis=-1)[..., 0]
    return float((probabilities.max(axis=-1) - chosen).max())
