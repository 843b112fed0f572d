"""A network in an ONNX file, run by ONNX Runtime or OpenVINO. Without MindSpore."""
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from src.data.image_reader import MAX_SIDE
from src.data.input_options import EVAL_ACTIVATE, from_text
from src.export.onnx_sessions import ON_CPU, SessionOptions, cannot_load, open_session
from src.model_utils.claims import SCALES, claimed, claimed_int
from src.model_utils.config import BOUNDARY
from src.model_utils.errors import UNetError

# Bounds of what a file says of its network.
MOST_BATCH, MOST_CHANNELS, MOST_CLASSES = 4096, 10_000, 255
WHOLE = {"num_classes": (2, MOST_CLASSES), "context": (0, 4096), "grid": (1, 1024), "window": (1, 4096)}


class OnnxNetwork:
    """An exported network as a predictor, a function of (N, C, H, W) float32 images.

    It returns (N, h, w, classes) float32 probabilities; (N, h, w, 1), those of class 1 of two classes; or (N, h, w)
    int32 class numbers.

    Attributes:
        path (Path): the file.
        input_shape (tuple): (N, C, H, W); None for a side that is free.
        output_shape (tuple): (N, h, w, classes) or (N, h, w), likewise.
        activate (str): Softmax, Sigmoid or Argmax, told by the shape of the output.
        metadata (dict): what ``src.export.network_file.describe`` says, as texts; empty for files that export.py did
            not write.
        options (dict): of these, the options that prediction follows, see ``src.data.input_options``.

    Args:
        path: the file.
        options: what runs it, and how.

    Raises:
        UNetError: no such file, not a network of this kind, sizes or metadata out of bounds, or see ``open_session``.
    """

    def __init__(self, path: str | Path, options: SessionOptions = ON_CPU):
        self.path = Path(path)
        if not self.path.is_file():
            raise UNetError(f"no such ONNX file: {self.path}; make one with export.py --file_format=ONNX")
        self.session = open_session(self.path, options)
        inputs, outputs = self.session.inputs, self.session.outputs
        if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0]) != 4 or len(outputs[0]) not in (3, 4):
            raise UNetError(f"{self.path}: expected one input (N, C, H, W) and one output (N, h, w) or (N, h, w, "
                            f"classes), found {[_text(shape) for shape in inputs]} and "
                            f"{[_text(shape) for shape in outputs]}")
        self.input_shape, self.output_shape = inputs[0], outputs[0]
        self._check_sizes()
        self.activate = ("Argmax" if len(self.output_shape) == 3 else
                         "Sigmoid" if self.output_shape[3] == 1 else "Softmax")
        self.metadata = self._checked(self.session.metadata)
        self.options = {**from_text(self.metadata, self.path), EVAL_ACTIVATE: self.activate}

    def _check_sizes(self) -> None:
        """Raise UNetError for sizes by which too much memory would be taken."""
        for sides, mosts in ((self.input_shape, (MOST_BATCH, MOST_CHANNELS, MAX_SIDE, MAX_SIDE)),
                             (self.output_shape, (MOST_BATCH, MAX_SIDE, MAX_SIDE, MOST_CLASSES))):
            for side, most in zip(sides, mosts):
                if side is not None:
                    claimed_int(side, 1, most, f"{self.path}: the size {_text(sides)} of its input or output")

    def _checked(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """Return the metadata, or raise UNetError for numbers that no network has."""
        for name, bounds in WHOLE.items():
            if name in metadata:
                claimed_int(metadata[name], *bounds, f"{self.path}: {name} in its metadata")
        claimed(metadata.get("scale", 1), *SCALES, f"{self.path}: scale in its metadata")
        return dict(metadata)

    @property
    def provider(self) -> str:
        """Name of what runs the network."""
        return self.session.provider

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """(height, width) of the images that it takes; None if they are free."""
        height, width = self.input_shape[2:]
        return (height, width) if height and width else None

    @property
    def num_classes(self) -> int | None:
        """Number of classes; None if the file does not tell it."""
        if self.activate != "Argmax":
            return self.output_shape[3] and max(2, self.output_shape[3])
        if "num_classes" not in self.metadata:
            return None
        return int(self.metadata["num_classes"]) + (self.metadata.get("target") == BOUNDARY)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self._check_images(images.shape[1:])
        fixed = self.input_shape[0] or len(images)
        results = [self._run(images[start:start + fixed], fixed) for start in range(0, len(images), fixed)]
        return results[0] if len(results) == 1 else np.concatenate(results)

    def _run(self, images, fixed):
        """Run one batch; a short one is filled up to the batch size of the file."""
        filling = np.zeros((fixed - len(images), *images.shape[1:]), images.dtype)
        batch = np.concatenate([images, filling]) if len(filling) else images
        try:
            result = self.session.run(batch)
        except Exception as error:      # those of the programs have no common base class
            raise cannot_load(self.path, self.provider, error, "run") from None
        expected = (len(batch), *self.output_shape[1:])
        if result.ndim != len(expected) or result.dtype.kind not in "fiu" or any(
                own not in (None, side) for own, side in zip(expected, result.shape)):
            raise UNetError(f"{self.path}: gave {_text(result.shape)} {result.dtype}, and says that it gives "
                            f"{_text(expected)} numbers; export the network again")
        return result[:len(images)]

    def check(self, num_channels: int, num_classes: int) -> None:
        """Raise UNetError if the file tells another number of channels or classes."""
        if self.input_shape[1] not in (None, num_channels):
            raise UNetError(f"{self.path}: takes {self.input_shape[1]} channel(s), num_channels is {num_channels}")
        if self.num_classes not in (None, num_classes):
            raise UNetError(f"{self.path}: has {self.num_classes} classes, num_classes is {num_classes}")

    def _check_images(self, shape):
        grid = int(self.metadata.get("grid", 1))
        if self.fixed_size is None and (shape[1] % grid or shape[2] % grid):
            raise UNetError(f"{self.path}: takes heights and widths that are multiples of {grid}, these are "
                            f"{shape[1]}x{shape[2]}; change image_size or tile_size")
        for own, given in zip(self.input_shape[1:], shape):
            if own not in (None, given):
                raise UNetError(f"{self.path}: takes images of {_text(self.input_shape[1:])} (channels x height x "
                                f"width), these are {_text(shape)}; give the YAML file that it was exported with, or "
                                f"export it for these, with --height={shape[1]} --width={shape[2]}")


def _text(sides):
    return "x".join("any" if side is None else str(side) for side in sides)
