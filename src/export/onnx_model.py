"""A network in an ONNX file, run by ONNX Runtime. Without MindSpore."""
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime

from src.model_utils.errors import UNetError

# device_target -> what ONNX Runtime calls it.
PROVIDERS = {"CPU": "CPUExecutionProvider", "GPU": "CUDAExecutionProvider", "Ascend": "CANNExecutionProvider"}


class OnnxNetwork:
    """An exported network as a function: (N, C, H, W) float32 -> NHWC probabilities (one
    channel: of class 1 of two) or NHW class numbers.

    Attributes:
        path (Path): the file.
        input_shape (tuple): (N, C, H, W); None where the file leaves a side free.
        output_shape (tuple): (N, h, w, classes) or (N, h, w), likewise.
        activate (str): Softmax or Sigmoid (probabilities) or Argmax (class numbers), by the shape of the output.
        metadata (dict): what export.py noted: model_name, num_classes, and scale where training noted it.

    Args:
        path (str): the file.
        device (str): device_target.
        shares_memory (bool): work in the memory of all networks that do so, for several on one CPU that take turns.

    Raises:
        UNetError: no such file, not a network of this kind, or no provider for the device; the message names
            the providers there are.
    """

    def __init__(self, path, device="CPU", shares_memory=False):
        self.path = Path(path)
        if not self.path.is_file():
            raise UNetError(f"no such ONNX file: {self.path}; make one with export.py --file_format=ONNX")
        providers = choose_providers(device)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3      # errors come as exceptions anyway
        options.enable_mem_pattern = False  # it keeps a second pool of memory, a fifth more in all, and is no faster
        if shares_memory:
            _make_shared_memory()
            options.add_session_config_entry("session.use_env_allocators", "1")
        try:
            self.session = onnxruntime.InferenceSession(str(self.path), options, providers=providers)
        # ONNX Runtime has no common base for what a damaged file raises.
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
    def provider(self):
        """What runs it, in ONNX Runtime's words."""
        return self.session.get_providers()[0]

    @property
    def num_classes(self):
        """Number of classes; None for a file that does not say."""
        if self.activate != "Argmax":
            return self.output_shape[3] and max(2, self.output_shape[3])
        return int(self.metadata["num_classes"]) if "num_classes" in self.metadata else None

    def __call__(self, images):
        self._check_images(images.shape[1:])
        fixed = self.input_shape[0] or len(images)
        results = [self._run(images[start:start + fixed], fixed) for start in range(0, len(images), fixed)]
        return results[0] if len(results) == 1 else np.concatenate(results)

    def _run(self, images, fixed):
        """Run one batch; a short one is filled up to the batch that the file was made for."""
        filling = np.zeros((fixed - len(images), *images.shape[1:]), images.dtype)
        batch = np.concatenate([images, filling]) if len(filling) else images
        return self.session.run(None, {self._name: batch})[0][:len(images)]

    def check(self, num_channels, num_classes):
        """Raise UNetError unless the network has ``num_channels`` and ``num_classes``, as far as the file says."""
        if self.input_shape[1] not in (None, num_channels):
            raise UNetError(f"{self.path}: takes {self.input_shape[1]} channel(s), num_channels is {num_channels}")
        if self.num_classes not in (None, num_classes):
            raise UNetError(f"{self.path}: has {self.num_classes} classes, num_classes is {num_classes}")

    def _check_images(self, shape):
        for own, given in zip(self.input_shape[1:], shape):
            if own not in (None, given):
                raise UNetError(f"{self.path}: takes images of {_text(self.input_shape[1:])} (channels x height x "
                                f"width), these are {_text(shape)}; give the YAML file that it was made with")


@lru_cache(maxsize=1)
def _make_shared_memory():
    """Make the pool of memory that networks can share, once a process; else each keeps its largest need for itself."""
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo("Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                                  onnxruntime.OrtMemType.DEFAULT), None)


def choose_providers(device):
    """ONNX Runtime's providers for a ``device_target``; auto takes the best that there is."""
    offered = onnxruntime.get_available_providers()
    wanted = [PROVIDERS[name] for name in ("Ascend", "GPU", "CPU")] if device == "auto" else [PROVIDERS[device]]
    found = [name for name in wanted if name in offered]
    if not found:
        names = [target for target, provider in PROVIDERS.items() if provider in offered]
        raise UNetError(f"device_target {device}: ONNX Runtime has no {wanted[0]} here, but {', '.join(offered)}; "
                        f"use --device_target={names[0]}, or install the ONNX Runtime for {device}")
    return found


def _fixed(shape):
    return tuple(side if isinstance(side, int) else None for side in shape)


def _text(sides):
    return "x".join("any" if side is None else str(side) for side in sides)
