"""Which backend runs a network fastest on this processor: measured once, and kept beside the cache of ONNX files.

Another process measures (``main``), since it loads programs that the run then does not need.
"""
import hashlib
import json
import logging
import math
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.export.onnx_cache import as_onnx, child_environment, is_for_cpu
from src.export.onnx_model import OnnxNetwork
from src.export.onnx_sessions import SessionOptions
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import write_atomically
from src.model_utils.inputs import WRONG_CONTENT, hash_of, read_json
from src.model_utils.lock import one_at_a_time
from src.model_utils.processors import usable_processors
from src.model_utils.python_process import python_command
from src.model_utils.trust import Untrusted, cache_folder, trusted_file
from src.networks.registry import NetworkSpec

logger = logging.getLogger("unet")

MEASURE = "from src.inference.backend_choice import main; sys.exit(main())"
SIDE, ROUNDS = 512, 3       # of the image that is measured, in pixels, if the file takes any; and how often

NAMES = {"mindspore": "MindSpore", "onnx": "ONNX Runtime", "openvino": "OpenVINO"}
PACKAGES = {"mindspore": "mindspore", "onnx": "onnxruntime", "openvino": "openvino"}


class Choice(NamedTuple):
    """Backends, the fastest first: name -> seconds an image of ``size``, (height, width); the record that says so."""
    seconds: dict[str, float]
    size: tuple[int, int]
    record: Path

    @property
    def backend(self) -> str:
        """Name of the fastest."""
        return next(iter(self.seconds))

    def __str__(self) -> str:
        return f"{NAMES[self.backend]} runs this network fastest on this processor: " + ", ".join(
            f"{NAMES[name]} {1000 * seconds:.3g} ms" for name, seconds in self.seconds.items()
        ) + f" an image of {self.size[1]}x{self.size[0]}, measured once ({self.record}); --backend takes another"


class Measurement:
    """The measurement of a network on this machine, made before or not yet.

    Args:
        config: the options; of a checkpoint, those of its network and cpu_ops.
        onnx_file: an ONNX file that is to be run; None for a checkpoint.
    """

    def __init__(self, config: Config, onnx_file: Path | None = None) -> None:
        self.config, self.onnx_file = config, onnx_file
        names = [name for name in NAMES if (name != "mindspore" or onnx_file is None) and find_spec(PACKAGES[name])]
        about: dict[str, Any] = {"processor": _processor(), "processors": usable_processors(),
                                 "versions": {name: _version(PACKAGES[name]) for name in names}}
        if onnx_file is None:
            # The first weights do not change the speed, nor does deep supervision, which is for training.
            spec = {**asdict(NetworkSpec.from_config(config)), "weight_init": "", "use_ds": False}
            about |= {"network": spec, "cpu_ops": config.cpu_ops}
        else:
            about |= {"file": hash_of(onnx_file).hexdigest(), "precision": config.cpu_precision}
        self.names, self.about = names, about
        self.key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]

    def known(self) -> Choice | None:
        """Return what was measured before; None if there is nothing, or nothing that can be read.

        Raises:
            UNetError: other users can write the record.
        """
        path = self._path()
        if not trusted_file(path):
            return None
        try:
            return read_json(path, self._choice)
        except UNetError:
            return None     # broken, or of a version that wrote something else

    def make(self, onnx_file: Path) -> Choice | None:
        """Measure with the network's ONNX file, and keep the result; None if it fails.

        Processes measure one at a time, and the others take what the first has found.

        Raises:
            UNetError: the cache cannot be written.
        """
        with one_at_a_time(cache_folder("backends") / ".lock"):
            with suppress(Untrusted):       # which is replaced
                if known := self.known():
                    return known
            return self._measured(onnx_file)

    def _measured(self, onnx_file: Path) -> Choice | None:
        options = {**self.config.as_dict(), "run_distribute": False}    # the process is no rank
        work = {"options": options, "names": self.names, "path": str(onnx_file)}
        result = subprocess.run(python_command(MEASURE), input=json.dumps(work), text=True, check=False,
                                capture_output=True, env=child_environment())
        try:
            choice = self._choice(json.loads(result.stdout.splitlines()[-1]))
        except WRONG_CONTENT:
            lines = result.stderr.strip().splitlines()
            logger.warning("WARNING: the backends could not be compared (%s); ONNX Runtime is taken",
                           lines[-1][:200] if lines else f"status {result.returncode}")
            return None
        about = {**self.about, "seconds": choice.seconds, "size": choice.size, "date": time.strftime("%Y-%m-%d")}
        write_atomically(self._path(), json.dumps(about, indent=1).encode())
        self._path().chmod(0o600)       # whatever the umask: a record that others can write is not used
        return choice

    def _path(self) -> Path:
        return cache_folder("backends") / f"{self.key}.json"

    def _choice(self, found: dict[str, Any]) -> Choice:
        seconds = {name: float(found["seconds"][name]) for name in self.names}
        height, width = map(int, found["size"])
        if not all(0 < value < math.inf for value in seconds.values()):
            raise ValueError(f"no seconds of all of {self.names}")
        return Choice(dict(sorted(seconds.items(), key=lambda item: item[1])), (height, width), self._path())


def choose_backend(config: Config, paths: list[Path]) -> tuple[str, list[Path] | None]:
    """Return the backend of checkpoints, and their ONNX files; None if MindSpore runs them."""
    measurement = Measurement(config) if config.backend == "auto" and config.cpu_precision == "float32" else None
    if measurement and is_for_cpu(config):
        known = _known(measurement)
        if known and known.backend == "mindspore":
            logger.info("%s", known)
            return "mindspore", None
    files = as_onnx(config, paths)
    if measurement is None or files is None:
        return config.backend, files
    backend = fastest(measurement, files[0])
    return backend, None if backend == "mindspore" else files


def fastest(measurement: Measurement, onnx_file: Path) -> str:
    """Return the fastest backend, and say why; it is measured if it is not known."""
    try:
        choice = _known(measurement) or measurement.make(onnx_file)
    except (UNetError, OSError) as error:       # the cache cannot be written
        logger.warning("WARNING: %s", error)
        return "onnx"
    if choice is None:
        return "onnx"
    logger.info("%s", choice)
    return choice.backend


def _known(measurement: Measurement) -> Choice | None:
    """Return what is known of the fastest backend; a record that others can write is not used."""
    try:
        return measurement.known()
    except Untrusted as error:
        logger.warning("WARNING: %s", error)
        return None
    except UNetError:       # there is no cache, which is said where it is written
        return None


def _version(module: str) -> str:
    """Return the version of an installed module, without importing it; an empty text if no wheel provides it.

    Its wheel may have another name: onnxruntime-gpu provides onnxruntime.
    """
    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:
        wheels = sorted(set(metadata.packages_distributions().get(module, [])))
        return ", ".join(f"{wheel} {metadata.version(wheel)}" for wheel in wheels)


def _processor() -> str:
    """Return the model of the processor and a digest of what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    found = [next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
             for name in ("model name", "flags")]
    return f"{found[0] or platform.machine()} {hashlib.sha256(found[1].encode()).hexdigest()[:8]}"


def _measure(options: dict[str, Any], names: list[str], path: str) -> dict[str, Any]:
    """Return the seconds an image by name, and its size, (height, width).

    They are the best of some rounds in turn: other work on the machine then slows all alike.
    """
    config = Config(options)
    runs: dict[str, Callable[[np.ndarray], object]] = {}
    for name in names:
        runs[name] = (_mindspore(config) if name == "mindspore" else
                      OnnxNetwork(path, SessionOptions(name, "CPU", config.cpu_precision)))
    shape = next(run.input_shape for run in runs.values() if isinstance(run, OnnxNetwork))
    sizes = [side or free for side, free in zip(shape, (1, config.num_channels, SIDE, SIDE))]
    images = np.random.default_rng(0).uniform(-1, 1, sizes).astype(np.float32)
    seconds = dict.fromkeys(names, math.inf)
    for turn in range(ROUNDS + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run(images)
            if turn:    # the first compiles
                seconds[name] = min(seconds[name], (time.perf_counter() - start) / len(images))
    return {"seconds": seconds, "size": images.shape[2:]}


def _mindspore(config: Config) -> Callable[[np.ndarray], np.ndarray]:
    from src.inference.assemble import assemble_network
    from src.model_utils.runtime import quiet_mindspore, start_runtime
    from src.networks.inference_network import predictor
    from src.networks.registry import probabilities

    quiet_mindspore()
    device = start_runtime(config).device
    return predictor(assemble_network(config, device), probabilities(NetworkSpec.from_config(config)))


def main() -> int:
    """Measure what standard input says; print the seconds."""
    try:
        print(json.dumps(_measure(**json.load(sys.stdin))))
    except (UNetError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0
