"""A network in an ONNX file, run by ONNX Runtime. Without MindSpore."""
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime

from src.model_utils.errors import UNetError

# device_target -> ONNX Runtime's name for it.
PROVIDERS = {"CPU": "CPUExecutionProvider", "GPU": "CUDAExecutionProvider", "Ascend": "CANNExecutionProvider"}


class OnnxNetwork:
    """An exported network as a predictor, a function of (N, C, H, W) float32 images.

    It returns (N, h, w, classes) float32 probabilities; (N, h, w, 1), those of class 1 of two classes; or (N, h, w)
    int32 class numbers.

    Attributes:
        path (Path): the file.
        input_shape (tuple): (N, C, H, W); None for a side that is free.
        output_shape (tuple): (N, h, w, classes) or (N, h, w), likewise.
        activate (str): Softmax, Sigmoid or Argmax, told by the shape of the output.
        metadata (dict): model_name, num_classes, context, grid (the stride of the receptive field), and scale if the
            checkpoint had it; empty for files that export.py did not write.

    Args:
        path: the file.
        device: device_target.
        shares_memory: use one pool of memory together with all networks that do so. This is for networks on one CPU
            that run in turn.

    Raises:
        UNetError: no such file, not a network of this kind, or no provider for the device; the message names
            the available providers.
    """

    def __init__(self, path: str | Path, device: str = "CPU", shares_memory: bool = False):
        self.path = Path(path)
        if not self.path.is_file():
            raise UNetError(f"no such ONNX file: {self.path}; make one with export.py --file_format=ONNX")
        providers = choose_providers(device)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3      # errors are raised anyway
        options.enable_mem_pattern = False  # it would need a fifth more memory and is no faster
        if shares_memory:
            _make_shared_memory()
            options.add_session_config_entry("session.use_env_allocators", "1")
        try:
            self.session = onnxruntime.InferenceSession(str(self.path), options, providers=providers)
        # What ONNX Runtime raises for a damaged file has no common base class.
        except Exception as error:
            raise UNetError(f"{self.path}: ONNX Runtime cannot load it ({str(error).splitlines()[0][:200]})") from None
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 4 or len(outputs[0].shape) not in (3, 4):
            raise UNetError(f"{self.path}: expected one input (N, C, H, W) and one output (N, h, w) or (N, h, w, "
                            f"classes), found {[node.shape for node in inputs]} and {[node.shape for node in outputs]}")
        self._name = inputs[0].name
        self.input_shape, self.output_shape = _fixed(inputs[0].shape), _fixed(outputs[0].shape)
        self.activate = ("Argmax" if len(self.output_shape) == 3 else
                         "Sigmoid" if self.output_shape[3] == 1 else "Softmax")
        self.metadata = dict(self.session.get_modelmeta().custom_metadata_map)

    @property
    def provider(self) -> str:
        """ONNX Runtime's name for what runs the network."""
        return self.session.get_providers()[0]

    @property
    def num_classes(self) -> int | None:
        """Number of classes; None if the file does not tell it."""
        if self.activate != "Argmax":
            return self.output_shape[3] and max(2, self.output_shape[3])
        return int(self.metadata["num_classes"]) if "num_classes" in self.metadata else None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self._check_images(images.shape[1:])
        fixed = self.input_shape[0] or len(images)
        results = [self._run(images[start:start + fixed], fixed) for start in range(0, len(images), fixed)]
        return results[0] if len(results) == 1 else np.concatenate(results)

    def _run(self, images, fixed):
        """Run one batch; a short one is filled up to the batch size of the file."""
        filling = np.zeros((fixed - len(images), *images.shape[1:]), images.dtype)
        batch = np.concatenate([images, filling]) if len(filling) else images
        return self.session.run(None, {self._name: batch})[0][:len(images)]

    def check(self, num_channels: int, num_classes: int) -> None:
        """Raise UNetError if the file tells another number of channels or classes."""
        if self.input_shape[1] not in (None, num_channels):
            raise UNetError(f"{self.path}: takes {self.input_shape[1]} channel(s), num_channels is {num_channels}")
        if self.num_classes not in (None, num_classes):
            raise UNetError(f"{self.path}: has {self.num_classes} classes, num_classes is {num_classes}")

    def _check_images(self, shape):
        for own, given in zip(self.input_shape[1:], shape):
            if own not in (None, given):
                raise UNetError(f"{self.path}: takes images of {_text(self.input_shape[1:])} (channels x height x "
                                f"width), these are {_text(shape)}; give the YAML file that it was exported with")


@lru_cache(maxsize=1)
def _make_shared_memory():
    """Make the pool of memory that networks share, once in a process. Otherwise each keeps what it needs at most."""
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo("Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                                  onnxruntime.OrtMemType.DEFAULT), None)


def choose_providers(device: str) -> list[str]:
    """Return ONNX Runtime's providers for a ``device_target``; for auto the best that is available."""
    offered = onnxruntime.get_available_providers()
    wanted = [PROVIDERS[name] for name in ("Ascend", "GPU", "CPU")] if device == "auto" else [PROVIDERS[device]]
    found = [name for name in wanted if name in offered]
    if not found:
        names = [target for target, provider in PROVIDERS.items() if provider in offered]
        raise UNetError(f"device_target {device}: ONNX Runtime has no {wanted[0]} here, but {', '.join(offered)}; "
                        f"use --device_target={names[0]}, or install the ONNX Runtime for {device}")
    return found


def _fixed(shape: Sequence[int | str]) -> tuple[int | None, ...]:
    """Return the shape of a session's input or output, None for sides with a name instead of a size."""
    return tuple(side if isinstance(side, int) else None for side in shape)


def _text(sides):
    return "x".join("any" if side is None else str(side) for side in sides)
