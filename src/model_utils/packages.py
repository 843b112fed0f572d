"""Packages that would do more than they are asked for: their switches are set before they are imported.

A value that the user has set stays. Processes that this one starts inherit the switches.
"""
import os
import sys
from types import ModuleType

from src.model_utils.errors import UNetError


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
