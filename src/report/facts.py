"""What a report says of the machine, the versions and the options."""
import os
import platform
import shlex
import sys
from importlib import metadata

import yaml

from src.model_utils.config import load_schema
from src.model_utils.memory import machine_bytes

PACKAGES = ("mindspore", "onnxruntime", "numpy", "opencv-python-headless")


def versions():
    """name -> version of Python and of those packages that are installed."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine(cpuinfo="/proc/cpuinfo"):
    """name -> text on the system and its processor."""
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


def changed_options(config):
    """The options of a Config that are not at their default: name -> value."""
    schema = load_schema()
    return {name: value for name, value in config.as_dict().items() if value != schema[name].default}


def command(script, config):
    """The command line that does the same again, whatever YAML file there was."""
    return shlex.join([os.path.basename(sys.executable), script,
                       *(f"--{name}={_text(value)}" for name, value in changed_options(config).items())])


def _text(value):
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).strip() if isinstance(value, list) else value
