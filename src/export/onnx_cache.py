"""Checkpoints as ONNX files in the user's cache, exported at their first use.

MindSpore exports in a process of its own (``python -m src.export.onnx_cache``, options on standard input): it would
keep more memory than the prediction itself needs.
"""
import hashlib
import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from src.model_utils.config import PROJECT_ROOT, Config
from src.model_utils.errors import UNetError
from src.model_utils.files import cache_folder
from src.networks.registry import NetworkSpec, probabilities, smallest_size, window_size

logger = logging.getLogger("unet")

DONE, REFUSED, NOT_NEEDED = 0, 2, 3     # exit status of the process that exports

# What the drivers of accelerators put into /dev; without any of it there is no need to start MindSpore and ask.
CARDS = ("davinci*", "nvidia*", "dxg")


def as_onnx(config, paths):
    """The checkpoints ``paths`` as ONNX files.

    Args:
        config (Config): backend, device_target, tile_size, image_size and the network's options count.
        paths (list[Path]): checkpoints.

    Returns:
        list[Path]: a file for each; None where MindSpore is to run the checkpoints: ``backend`` says so, or is auto
        and the device is no CPU, or they cannot be exported.

    Raises:
        UNetError: ``backend`` is onnx, and they cannot be exported.
    """
    if config.backend == "mindspore":
        return None
    files = [_cached(config, path) for path in paths]
    is_settled = (config.backend == "onnx" or config.device_target == "CPU" or
                  config.device_target == "auto" and not _has_card())
    if is_settled and all(files):
        return files
    status, message = _ask_mindspore(config, paths)
    if status == REFUSED and config.backend == "onnx":
        raise UNetError(message)
    if status == REFUSED:   # what is wrong with a checkpoint itself will show again
        logger.info("MindSpore runs the checkpoint, as no ONNX file could be made of it: %s", message)
    return [_cached(config, path) for path in paths] if status == DONE else None


def _has_card():
    return any(card for pattern in CARDS for card in Path("/dev").glob(pattern))


def _files(config, path):
    """Where the cache keeps a checkpoint: as a file for windows of any size, and as one for windows of this size."""
    about = {**asdict(NetworkSpec.from_config(config)), "mindspore": metadata.version("mindspore"), "code": _code()}
    key = hashlib.sha256(Path(path).read_bytes() + json.dumps(about).encode()).hexdigest()[:24]
    side = config.tile_size or max(config.image_size)
    return cache_folder() / "onnx" / f"{key}.onnx", cache_folder() / "onnx" / f"{key}-{side}.onnx"


@lru_cache(maxsize=1)
def _code():
    """A hash of the rooms that shape an exported file, so that none outlives a change of them."""
    modules = sorted(path for room in ("networks", "export") for path in (PROJECT_ROOT / "src" / room).glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in modules)).hexdigest()


def _cached(config, path):
    return next((file for file in _files(config, path) if file.is_file()), None)


def _ask_mindspore(config, paths):
    """Status and message of the process that exports."""
    work = {"options": config.as_dict(), "paths": [str(path) for path in paths]}
    search = os.pathsep.join([str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run([sys.executable, "-m", "src.export.onnx_cache"], input=json.dumps(work), text=True,
                            check=False, capture_output=True, env={**os.environ, "PYTHONPATH": search})
    if result.returncode in (DONE, NOT_NEEDED):
        return result.returncode, ""
    lines = result.stderr.strip().splitlines()
    return REFUSED, lines[-1] if lines else f"the export ended with status {result.returncode}"


def _export(options, paths):
    """Export the checkpoints that the cache does not hold yet, unless the device has something faster."""
    from src.export.export import ExportJob, write_onnx
    from src.model_utils.runtime import quiet_mindspore, start_runtime
    from src.training.checkpoint import CheckpointContents

    quiet_mindspore()
    config = Config(options)
    if start_runtime(config.replace(context_mode="graph")).device != "CPU" and config.backend == "auto":
        return NOT_NEEDED
    spec = NetworkSpec.from_config(config)
    size = window_size(spec, config.tile_size or max(config.image_size))
    shape = (1, spec.num_channels, *(size or (smallest_size(spec.model_name),) * 2))
    for path in paths:
        if not _cached(config, path):
            any_size, one_size = _files(config, path)
            write_onnx(ExportJob(spec, CheckpointContents(path), one_size if size else any_size, shape,
                                 probabilities(spec), is_dynamic=size is None))
    return DONE


def _main():
    try:
        return _export(**json.load(sys.stdin))
    except UNetError as error:
        print(error, file=sys.stderr)
        return REFUSED


if __name__ == "__main__":
    sys.exit(_main())
