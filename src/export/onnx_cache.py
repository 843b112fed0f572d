"""Checkpoints as ONNX files in the user's cache, exported at their first use. Without MindSpore.

MindSpore exports in another process (``python -m src.export.onnx_cache``, options on standard input), since it would
keep more memory than the prediction needs.
"""
import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from src.model_utils.config import PROJECT_ROOT, Config
from src.model_utils.errors import UNetError
from src.model_utils.files import cache_folder
from src.networks.registry import NetworkSpec, probabilities, smallest_size, window_size

logger = logging.getLogger("unet")

DONE, REFUSED, NOT_NEEDED = 0, 2, 3     # exit status of the process that exports

# Files that drivers of accelerators put into /dev. Without any of them, MindSpore need not be asked for a device.
CARDS = ("davinci*", "nvidia*", "dxg")


def as_onnx(config: Config, paths: list[Path]) -> list[Path] | None:
    """Return ONNX files of checkpoints, from the cache or exported now.

    Args:
        config (Config): uses backend, device_target, tile_size, image_size and the network's options.
        paths: the checkpoints.

    Returns:
        A file for each checkpoint. None if MindSpore shall run the checkpoints: ``backend`` is mindspore; or it is auto
        and the device is no CPU, or the checkpoints cannot be exported.

    Raises:
        UNetError: ``backend`` is onnx, and the checkpoints cannot be exported.
    """
    if config.backend == "mindspore":
        return None
    spec, side = NetworkSpec.from_config(config), window_side(config.tile_size, config.image_size)
    files = _all_cached(spec, side, paths)
    is_settled = (config.backend == "onnx" or config.device_target == "CPU" or
                  config.device_target == "auto" and not _has_card())
    if is_settled and files:
        return files
    status, message = _export_in_process(config, paths)
    if status == REFUSED and config.backend == "onnx":
        raise UNetError(message)
    if status == REFUSED:   # a damaged checkpoint is refused again when MindSpore loads it
        logger.info("MindSpore runs the checkpoint, as no ONNX file could be made of it: %s", message)
    return _all_cached(spec, side, paths) if status == DONE else None


def window_side(tile_size: int, image_size: Sequence[int]) -> int:
    """Return the side of the windows that the options ask for, for networks whose windows have one size."""
    return tile_size or max(image_size)


def _has_card() -> bool:
    return any(card for pattern in CARDS for card in Path("/dev").glob(pattern))


def _files(spec: NetworkSpec, side: int, path: Path) -> tuple[Path, Path]:
    """Return the places of a checkpoint's ONNX file in the cache: one for windows of any size, one for this size."""
    # Neither deep supervision nor the first weights change the exported file.
    spec = replace(spec, use_ds=False, weight_init="default")
    about = {**asdict(spec), "mindspore": metadata.version("mindspore"), "code": _code_hash()}
    key = hashlib.sha256(path.read_bytes() + json.dumps(about).encode()).hexdigest()[:24]
    return cache_folder() / "onnx" / f"{key}.onnx", cache_folder() / "onnx" / f"{key}-{side}.onnx"


@lru_cache(maxsize=1)
def _code_hash() -> str:
    """Return a hash of the code that exported files depend on, so that no file outlives a change of it."""
    modules = sorted(path for room in ("networks", "export") for path in (PROJECT_ROOT / "src" / room).glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in modules)).hexdigest()


def _cached(spec: NetworkSpec, side: int, path: Path) -> Path | None:
    return next((file for file in _files(spec, side, path) if file.is_file()), None)


def _all_cached(spec: NetworkSpec, side: int, paths: list[Path]) -> list[Path] | None:
    """Return the files of all checkpoints; None if one is missing."""
    files = [file for path in paths if (file := _cached(spec, side, path))]
    return files if len(files) == len(paths) else None


def _export_in_process(config: Config, paths: list[Path]) -> tuple[int, str]:
    """Start the process that exports; return its status and message."""
    work = {"options": config.as_dict(), "paths": [str(path) for path in paths]}
    search = os.pathsep.join([str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run([sys.executable, "-m", "src.export.onnx_cache"], input=json.dumps(work), text=True,
                            check=False, capture_output=True, env={**os.environ, "PYTHONPATH": search})
    if result.returncode in (DONE, NOT_NEEDED):
        return result.returncode, ""
    lines = result.stderr.strip().splitlines()
    return REFUSED, lines[-1] if lines else f"the export ended with status {result.returncode}"


def _export(options: dict, paths: list[str]) -> int:
    """Export the checkpoints that the cache lacks, unless MindSpore runs them faster on the device."""
    from src.export.export import ExportJob, write_onnx
    from src.model_utils.runtime import quiet_mindspore, start_runtime
    from src.training.checkpoint import CheckpointContents

    quiet_mindspore()
    config = Config(options)
    if start_runtime(config.replace(context_mode="graph")).device != "CPU" and config.backend == "auto":
        return NOT_NEEDED
    spec, side = NetworkSpec.from_config(config), window_side(config.tile_size, config.image_size)
    size = window_size(spec, side)
    height, width = size or (smallest_size(spec.model_name),) * 2
    shape = (1, spec.num_channels, height, width)
    for path in map(Path, paths):
        any_size, one_size = _files(spec, side, path)       # reads and hashes the checkpoint
        if not any_size.is_file() and not one_size.is_file():
            job = ExportJob(spec, CheckpointContents(path), one_size if size else any_size, shape, probabilities(spec),
                            is_dynamic=size is None)
            write_onnx(job)
    return DONE


def _main():
    try:
        return _export(**json.load(sys.stdin))
    except UNetError as error:
        print(error, file=sys.stderr)
        return REFUSED


if __name__ == "__main__":
    sys.exit(_main())
