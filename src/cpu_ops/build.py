"""Compiles the operators at first use, into a cache of the user's."""
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from src.model_utils.files import cache_folder

logger = logging.getLogger("unet")

SOURCES = Path(__file__).parent / "csrc"
HEADERS = "onednn-devel-cpu-gomp"
FLAGS = ["-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-pthread"]


class CannotBuild(Exception):
    """The operators cannot be had on this machine; the message says why."""


def build_library():
    """Path of the compiled library; compiled now unless the cache holds it.

    The cache is keyed by everything that the result depends on: sources, MindSpore, headers, compiler and
    processor. The file is renamed into place, so processes that start at once do not disturb each other.

    Raises:
        CannotBuild: no compiler, no headers, another oneDNN, or no place to write.
    """
    onednn = Path(metadata.distribution("mindspore").locate_file("mindspore")) / "lib" / "libdnnl.so.3"
    if not onednn.is_file():
        raise CannotBuild(f"MindSpore {metadata.version('mindspore')} does not bundle oneDNN 3")
    compiler = _find_compiler()
    include = _find_headers()
    sources = sorted(SOURCES.glob("*.cc"))
    command = [compiler, *FLAGS, f"-I{include}", *map(str, sources), f"-L{onednn.parent}", f"-l:{onednn.name}",
               f"-Wl,-rpath,{onednn.parent}"]
    library = cache_folder() / f"unet_cpu_ops-{_key(command, compiler)}.so"
    if not library.is_file():
        _compile(command, library)
    return str(library)


def _find_compiler():
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "c++", "clang++"]
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise CannotBuild(f"no C++ compiler was found ({', '.join(names)})")


def _find_headers():
    try:
        files = metadata.distribution(HEADERS).files or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.match("include/oneapi/dnnl/dnnl.hpp"):
            return Path(file.locate()).resolve().parents[2]
    raise CannotBuild(f"the headers of oneDNN are missing; pip install {HEADERS}==2023.2.0")


def _key(command, compiler):
    """A hash of all that the compiled file depends on."""
    parts = [" ".join(command), metadata.version("mindspore"), metadata.version(HEADERS),
             subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout, _cpu_flags()]
    parts += [path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _cpu_flags():
    """What -march=native depends on; a home folder may be shared by machines with different processors."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def _compile(command, library):
    logger.info("compiling the CPU operators, once, into %s", library.parent)
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            made = Path(folder) / library.name
            result = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True, timeout=600,
                                    check=False)
            if result.returncode:
                errors = [line for line in result.stderr.splitlines() if "error" in line] or ["no message"]
                raise CannotBuild(f"{command[0]} failed: {errors[0][:200]}")
            os.replace(made, library)
    except OSError as error:
        raise CannotBuild(f"{library.parent} cannot be written ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise CannotBuild(f"{command[0]} did not finish in 600 s") from None
