"""Packages that would do more than they are asked for: their switches are set before they are imported.

A value that the user has set stays. Processes that this one starts inherit the switches.
"""
import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from src.model_utils.errors import UNetError


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Make another folder the current one, that of all threads: only before any of them reads files."""
    here = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
    os.chdir("/")
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)


@contextmanager
def _without_matplotlibrc() -> Iterator[None]:
    """Hide the settings in the current folder. Matplotlib is imported when training reads images in other threads."""
    exists = os.path.exists
    os.path.exists = lambda path: path != "matplotlibrc" and exists(path)      # type: ignore[assignment]
    try:
        yield
    finally:
        os.path.exists = exists


# Packages that look into the current folder, which somebody's data may be in, when they are imported. MindSpore's
# library for Ascend cards looks for others there (libge_runner.so), as its RPATH ends with an empty entry. Matplotlib
# reads matplotlibrc, bioimage.io's packages read .env.
CURIOUS = {"mindspore": _elsewhere, "matplotlib": _without_matplotlibrc, "bioimageio.spec": _elsewhere,
           "bioimageio.core": _elsewhere}


class _BlindFinder(importlib.abc.MetaPathFinder):
    def __init__(self) -> None:
        self.names = set(CURIOUS)

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name not in self.names:
            return None
        self.names.remove(name)     # the others find it now
        spec = importlib.util.find_spec(name)
        if spec and spec.loader:
            loader: Any = spec.loader
            loader.exec_module = partial(self._import, loader.exec_module, CURIOUS[name])
        return spec

    @staticmethod
    def _import(import_module: Callable[[ModuleType], None], blind: Callable[[], AbstractContextManager[None]],
                module: ModuleType) -> None:
        with blind():
            import_module(module)


def import_blindly() -> None:
    """Have the packages ``CURIOUS`` imported, whoever imports them, without a look at the current folder."""
    if not any(isinstance(finder, _BlindFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _BlindFinder())


def import_albumentations() -> ModuleType:
    """Import albumentations, which would ask a package index for newer versions of itself."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations


def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime, which would send telemetry since version 1.32, and keep it in the home folder before."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def import_openvino() -> ModuleType:
    """Import OpenVINO, which would send telemetry by another package if that is installed.

    Raises:
        UNetError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)      # type: ignore[arg-type]    # as if not installed
    try:
        import openvino
    except ImportError as error:
        raise UNetError(f"backend openvino: OpenVINO cannot be imported ({error}); install it with 'pip install "
                        f"openvino', or use --backend=onnx") from None
    return openvino


def import_quantization() -> ModuleType:
    """Import ONNX Runtime's quantization, which takes a second."""
    import_onnxruntime()
    import onnxruntime.quantization.shape_inference  # the package itself does not load it

    return onnxruntime.quantization
