"""Checkpoints as ONNX files in the user's cache, exported at their first use. Without MindSpore.

MindSpore exports in another process (``main``, options on standard input), since it would keep more memory than the
prediction needs. A file's name ends with a digest of its content, so a broken one is noticed and made again.
"""
import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import remove, remove_leftovers, temporary_path
from src.model_utils.inputs import hash_of
from src.model_utils.lock import one_at_a_time
from src.model_utils.python_process import named_folders, python_command
from src.model_utils.schema import PROJECT_ROOT
from src.model_utils.trust import Untrusted, cache_folder, trusted_file
from src.networks.registry import NetworkSpec, probabilities, smallest_size, window_size
from src.tiling.predictor import size_of_windows

logger = logging.getLogger("unet")

DONE, REFUSED, NOT_NEEDED = 0, 2, 3     # exit status of the process that exports

EXPORT = "from src.export.onnx_cache import main; sys.exit(main())"

# Those of src/ whose code makes the files.
FOLDERS = ("networks", "export", "training", "data", "tiling", "report")

# Files that drivers of accelerators put into /dev. Without any of them, MindSpore need not be asked for a device.
CARDS = ("davinci*", "nvidia*", "dxg")
HOUR = 3600     # seconds


def as_onnx(config: Config, paths: list[Path]) -> list[Path] | None:
    """Return ONNX files of checkpoints, from the cache or exported now.

    Args:
        config (Config): uses backend, device_target, cpu_precision, tile_size, image_size, crop, dataset, and the
            network's options.
        paths: the checkpoints.

    Returns:
        A file for each checkpoint. None if MindSpore shall run the checkpoints: ``backend`` is mindspore; or it is auto
        and the device is no CPU, the numbers are not float32, or the checkpoints cannot be exported.

    Raises:
        UNetError: ``backend`` is onnx or openvino, and the checkpoints cannot be exported, or other users can write the
            cache.
    """
    if config.backend == "mindspore" or config.backend == "auto" and config.cpu_precision != "float32":
        return None
    try:
        files = _all_cached(config, paths)
    except UNetError as error:
        _refuse(config, error)
        return None
    if (config.backend != "auto" or is_for_cpu(config)) and files:
        return files
    status, message = _export_in_process(config, paths)
    if status == REFUSED:   # a damaged checkpoint is refused again when MindSpore loads it
        _refuse(config, UNetError(message))
    if status != DONE:
        return None
    files = _all_cached(config, paths)
    if files is None:
        _refuse(config, UNetError("a file that was just exported is gone from the cache; try again"))
    return files


def _refuse(config: Config, error: UNetError) -> None:
    """Raise ``error`` if the user has asked for ONNX files, else say that MindSpore runs the checkpoint."""
    if config.backend != "auto":
        raise error
    is_untrusted = isinstance(error, Untrusted)
    logger.log(logging.WARNING if is_untrusted else logging.INFO,
               "%sMindSpore runs the checkpoint, as no ONNX file could be made of it: %s",
               "WARNING: " if is_untrusted else "", error)


def is_for_cpu(config: Config) -> bool:
    """Return whether the network certainly runs on the CPU, without asking MindSpore."""
    has_card = any(card for pattern in CARDS for card in Path("/dev").glob(pattern))
    return config.device_target == "CPU" or config.device_target == "auto" and not has_card


def _stems(config: Config, path: Path) -> Iterator[str]:
    """Yield how the names of a checkpoint's ONNX files begin: for windows of any size, and for those of one size."""
    # Neither deep supervision nor the first weights change the exported file.
    spec = replace(NetworkSpec.from_config(config), use_ds=False, weight_init="default")
    about = {**asdict(spec), "mindspore": metadata.version("mindspore"), "code": _code_hash()}
    digest = hash_of(path)
    digest.update(json.dumps(about).encode())
    key = digest.hexdigest()[:24]
    yield f"{key}-any"
    height, width = size_of_windows(config)     # loads MindSpore for some networks, so only if it must be known
    yield f"{key}-{height}x{width}"


@lru_cache(maxsize=1)
def _code_hash() -> str:
    """Return a hash of the code that makes exported files, so that no file outlives a change of it."""
    modules = sorted(path for folder in FOLDERS for path in (PROJECT_ROOT / "src" / folder).glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in modules)).hexdigest()


def _cached(config: Config, path: Path) -> Path | None:
    """Return a checkpoint's ONNX file; None if there is none, or only a broken one."""
    folder = cache_folder("onnx")
    found = (file for stem in _stems(config, path) for file in folder.glob(f"{stem}-*.onnx") if trusted_file(file))
    file = next((file for file in found if file.stem.endswith(f"-{_digest(file)}")), None)
    if file:
        with suppress(OSError):
            os.utime(file)      # the oldest are removed first
    return file


def _digest(file: Path) -> str:
    """Return the digest that the name of a file has; an empty text if it cannot be read."""
    try:
        return hash_of(file).hexdigest()[:16]
    except (OSError, UNetError):
        return ""


def _all_cached(config: Config, paths: list[Path]) -> list[Path] | None:
    """Return the files of all checkpoints; None if one is missing."""
    files = [file for path in paths if (file := _cached(config, path))]
    return files if len(files) == len(paths) else None


def _export_in_process(config: Config, paths: list[Path]) -> tuple[int, str]:
    """Start the process that exports; return its status and message."""
    options = {**config.as_dict(), "run_distribute": False}     # it is no rank itself
    work = {"options": options, "paths": [str(path) for path in paths]}
    result = subprocess.run(python_command(EXPORT), input=json.dumps(work), text=True, check=False,
                            capture_output=True, env=child_environment())
    if result.returncode in (DONE, NOT_NEEDED):
        return result.returncode, ""
    lines = result.stderr.strip().splitlines()
    return REFUSED, lines[-1] if lines else f"the export ended with status {result.returncode}"


def child_environment() -> dict[str, str]:
    """Return the environment of a Python process that imports this project."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), *named_folders("PYTHONPATH")])}


def _export(options: dict, paths: list[str]) -> int:
    """Export the checkpoints that the cache lacks, unless MindSpore runs them faster on the device."""
    from src.export.export import ExportJob, write_onnx
    from src.model_utils.runtime import quiet_mindspore, start_runtime
    from src.training.checkpoint_contents import CheckpointContents

    quiet_mindspore()
    config = Config(options)
    if start_runtime(config.replace(context_mode="graph")).device != "CPU" and config.backend == "auto":
        return NOT_NEEDED
    spec, size = NetworkSpec.from_config(config), size_of_windows(config)
    is_dynamic = window_size(spec, size) is None
    height, width = (smallest_size(spec.model_name),) * 2 if is_dynamic else size
    shape = (1, spec.num_channels, height, width)
    folder, used = cache_folder("onnx"), []
    with one_at_a_time(folder / ".lock"):
        remove_leftovers(folder)
        for path in map(Path, paths):
            file = _cached(config, path)
            if file is None:
                stem = list(_stems(config, path))[0 if is_dynamic else 1]
                with _new_file(folder, stem) as fresh:
                    write_onnx(ExportJob(spec, CheckpointContents(path), fresh, shape, probabilities(spec), is_dynamic))
                    if stem not in _stems(config, path):
                        raise UNetError(f"{path} was changed while it was read; try again")
                file = _cached(config, path)
            used += [file] if file else []
        _remove_oldest(folder, used, config.cache_gb)
    return DONE


@contextmanager
def _new_file(folder: Path, stem: str) -> Iterator[Path]:
    """Yield a temporary path; the file written there replaces those in the cache whose names begin so."""
    hidden = temporary_path(folder / stem)
    hidden.mkdir(mode=0o700)
    try:
        fresh = hidden / "network.onnx"
        yield fresh
        fresh.chmod(0o600)       # whatever the umask: a file that others can write is not used
        for broken in folder.glob(f"{stem}-*.onnx"):
            remove(broken)
        fresh.replace(folder / f"{stem}-{_digest(fresh)}.onnx")
    finally:
        remove(hidden)


def _remove_oldest(folder: Path, used: list[Path], most_gb: float) -> None:
    """Remove the files that were not used for the longest time, until ``most_gb`` remain.

    Those of this run stay, and those that others may be using now.
    """
    files = sorted((path for path in folder.glob("*.onnx") if path not in used),
                   key=lambda path: path.stat().st_mtime, reverse=True)
    left = most_gb * 1e9 - sum(path.stat().st_size for path in used)
    for path in files:
        left -= path.stat().st_size
        if left < 0 and time.time() - path.stat().st_mtime > HOUR:
            remove(path)


def main() -> int:
    """Export what standard input says; return the exit status."""
    try:
        return _export(**json.load(sys.stdin))
    except (UNetError, OSError) as error:
        print(error, file=sys.stderr)
        return REFUSED
