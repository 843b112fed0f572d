"""Compiles the operators: at first use into the user's cache, or ahead of time into a container image."""
import ctypes
import hashlib
import logging
import os
import shlex
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from src.model_utils.trust import cache_folder, check_trusted, trusted_file

logger = logging.getLogger("unet")

SOURCES = Path(__file__).parent / "csrc"
HEADERS = "onednn-devel-cpu-gomp"
FLAGS = ["-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-pthread"]

# Environment variable: folder of operators that were compiled ahead of time, for machines without a compiler. They run
# on any x86-64-v3 processor. oneDNN, which does most of the work, detects by itself what more the processor has.
AHEAD = "UNET_CPU_OPS"
PORTABLE = "-march=x86-64-v3"
PORTABLE_FLAGS = {"avx2", "fma", "bmi1", "bmi2", "f16c", "movbe", "abm"}


class CannotBuild(Exception):
    """The operators cannot be built on this machine; the message says why."""


def build_library() -> str:
    """Return the path of the compiled library. Compile it unless it was compiled ahead of time or is in the cache.

    The cache key covers everything that the result depends on: sources, MindSpore, headers, compiler and processor.
    The file is renamed into place, so processes that start at the same time do not disturb each other.

    Raises:
        CannotBuild: no compiler, no headers, or another oneDNN.
        UNetError: the cache cannot be written.
        Untrusted: other users can write the library or its folder.
    """
    onednn = _find_onednn()
    ahead = Path(os.environ.get(AHEAD, "")) / _name_ahead()
    if os.environ.get(AHEAD) and ahead.is_file() and set(_cpu_flags().split()) >= PORTABLE_FLAGS:
        check_trusted(ahead.parent)
        check_trusted(ahead)
        return str(ahead)
    compiler = _find_compiler()
    command = _command(compiler, FLAGS, onednn)
    library = cache_folder() / f"unet_cpu_ops-{_key(command, compiler)}.so"
    if trusted_file(library) is None:
        _compile(command, library)
    return str(library)


def has_matrix_units(library: str) -> bool:
    """Return whether this processor has units for products of bfloat16 numbers that the ``library`` may use."""
    return bool(ctypes.CDLL(library).unet_has_matrix_units())


def build_ahead(folder: str | Path) -> None:
    """Compile a library for other machines too. ``build_library`` takes it if ``UNET_CPU_OPS`` names ``folder``.

    Raises:
        CannotBuild: no compiler, no headers, another oneDNN, or no folder that can be written.
    """
    flags = [PORTABLE if flag == "-march=native" else flag for flag in FLAGS]
    _compile(_command(_find_compiler(), flags, _find_onednn()), Path(folder) / _name_ahead())


def _find_onednn():
    onednn = Path(metadata.distribution("mindspore").locate_file("mindspore")) / "lib" / "libdnnl.so.3"
    if not onednn.is_file():
        raise CannotBuild(f"MindSpore {metadata.version('mindspore')} does not bundle oneDNN 3")
    return onednn


def _command(compiler, flags, onednn):
    return [*compiler, *flags, f"-I{_find_headers()}", *map(str, _sources("cc")), f"-L{onednn.parent}",
            f"-l:{onednn.name}", f"-Wl,-rpath,{onednn.parent}"]


def _name_ahead():
    """Return the file name of operators compiled ahead of time, from these sources and for this MindSpore."""
    return f"unet_cpu_ops-{metadata.version('mindspore')}-{_hash(_source_texts())}.so"


def _find_compiler():
    """Return the words of a command that starts the compiler: CXX may be ``ccache g++``."""
    text = os.environ.get("CXX", "")
    try:
        own = [text] if shutil.which(text) else shlex.split(text)
    except ValueError as error:
        raise CannotBuild(f"CXX {text}: {error}") from None
    commands = [own] if own else [["g++"], ["c++"], ["clang++"]]
    for command in commands:
        if path := shutil.which(command[0]):
            return [path, *command[1:]]
    raise CannotBuild(f"no C++ compiler was found ({', '.join(map(shlex.join, commands))})")


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
    """Return a hash of everything that the compiled file depends on."""
    parts = [" ".join(command), metadata.version("mindspore"), metadata.version(HEADERS),
             subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False).stdout, _cpu_flags()]
    return _hash(parts + _source_texts())


def _source_texts():
    return [path.read_text(encoding="utf-8") for path in _sources("cc") + _sources("h")]


def _sources(ending):
    """List the source files, without hidden files that editors leave behind."""
    return sorted(SOURCES.glob(f"[!.]*.{ending}"))


def _hash(parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _cpu_flags():
    """Return what -march=native depends on. Machines with different processors may share a home folder."""
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
            # It runs in this folder, since an empty entry of CPATH stands for the current one.
            result = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True, timeout=600,
                                    check=False, cwd=folder)
            if result.returncode:
                errors = [line for line in result.stderr.splitlines() if "error" in line] or ["no message"]
                raise CannotBuild(f"{command[0]} failed: {errors[0][:200]}")
            made.chmod(0o755)       # whatever the umask: a library that others can write is not used
            os.replace(made, library)
    except OSError as error:
        raise CannotBuild(f"{library.parent} cannot be written ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise CannotBuild(f"{command[0]} did not finish in 600 s") from None
