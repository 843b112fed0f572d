"""Facts about a run for its report: the machine, the versions and the options."""
import os
import platform
import shlex
import sys
from importlib import metadata
from typing import Any

import yaml

from src import __version__
from src.model_utils.config import Config
from src.model_utils.memory import machine_bytes
from src.model_utils.schema import load_schema

PACKAGES = ("mindspore", "onnxruntime", "numpy", "opencv-python-headless")


def versions() -> dict[str, str]:
    """Return name -> version of this project, of Python and of those ``PACKAGES`` that are installed."""
    found = {"UNet for MindSpore": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine(cpuinfo: str = "/proc/cpuinfo") -> dict[str, str]:
    """Return the system, the processor, its cores and the memory: name -> text."""
    processor = platform.processor() or platform.machine()
    try:
        with open(cpuinfo, encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        processor = names[0] if names else processor
    except OSError:
        pass
    found = {"system": f"{platform.system()} {platform.release()}", "processor": processor,
             "cores for this process": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
                                           else os.cpu_count())}
    memory = machine_bytes()
    if memory:
        found["memory"] = f"{memory / 2**30:.1f} GiB"
    return found


def changed_options(config: Config) -> dict[str, Any]:
    """Return the options that are not at their default: name -> value."""
    schema = load_schema()
    return {name: value for name, value in config.as_dict().items() if value != schema[name].default}


def command(script: str, config: Config) -> str:
    """Return the command line that runs the script with the same options, without a YAML file."""
    return shlex.join([os.path.basename(sys.executable), script,
                       *(f"--{name}={_text(value)}" for name, value in changed_options(config).items())])


def _text(value: Any) -> Any:
    if not isinstance(value, (list, dict)):
        return value
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6).strip()
