"""A network in an ONNX file, run by ONNX Runtime or OpenVINO. Without MindSpore."""
from pathlib import Path
from typing import Any

import numpy as np

from src.data.image_reader import MAX_SIDE
from src.data.input_options import EVAL_ACTIVATE, from_text
from src.data.notices import say_once
from src.export.onnx_sessions import ON_CPU, SessionOptions, cannot_load, open_session
from src.model_utils.claims import SCALES, claimed, claimed_int
from src.model_utils.config import BOUNDARY
from src.model_utils.errors import UNetError
from src.networks.receptive_field import VALID_MARGIN, ReceptiveField, same_field

# Bounds of what a file says of its network.
MOST_BATCH, MOST_CHANNELS, MOST_CLASSES = 4096, 10_000, 255
# What of them must be whole numbers. Files call the stride of the receptive field grid.
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
        numbers (dict): those of ``WHOLE`` that are among them.
        scale (float): factor by which training resized images.
        options (dict): of the metadata, the options that prediction follows, see ``src.data.input_options``.

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
        self.metadata = dict(self.session.metadata)
        self.numbers = {name: claimed_int(self.metadata[name], *bounds, f"{self.path}: {name} in its metadata")
                        for name, bounds in WHOLE.items() if name in self.metadata}
        self.scale = claimed(self.metadata.get("scale", 1), *SCALES, f"{self.path}: scale in its metadata")
        stored = from_text(self.metadata, self.path)
        whole = {name: number for name, number in self.numbers.items() if name in stored}
        self.options: dict[str, Any] = {**stored, **whole, EVAL_ACTIVATE: self.activate}

    def _check_sizes(self) -> None:
        """Raise UNetError for sizes by which too much memory would be taken."""
        for sides, mosts in ((self.input_shape, (MOST_BATCH, MOST_CHANNELS, MAX_SIDE, MAX_SIDE)),
                             (self.output_shape, (MOST_BATCH, MAX_SIDE, MAX_SIDE, MOST_CLASSES))):
            for side, most in zip(sides, mosts):
                if side is not None:
                    claimed_int(side, 1, most, f"{self.path}: the size {_text(sides)} of its input or output")

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
        if "num_classes" not in self.numbers:
            return None
        return self.numbers["num_classes"] + (self.metadata.get("target") == BOUNDARY)

    def receptive_field(self) -> ReceptiveField:
        """Return the receptive field; what the metadata do not say is that of the network here which sees most.

        Raises:
            UNetError: the result has not the size of the input, and the file does not say that its convolutions are
                valid. Those of the model zoo have no metadata: they are known by what they take away.
        """
        guess = same_field("bilinear")
        context, stride = self.numbers.get("context", guess.context), self.numbers.get("grid", guess.stride)
        lost = {own - side for own, side in zip(self.input_shape[2:], self.output_shape[1:3]) if own and side}
        if lost <= {0}:
            is_known = {"context", "grid"} <= self.numbers.keys()
            self.warn_of_silence("" if is_known else f", and windows are cut as for a U-Net with bilinear upsampling, "
                                                     f"context {context} and stride {stride}")
            return ReceptiveField(0, context, stride)
        self.warn_of_silence()
        margin = max(lost) // 2
        is_valid = context == 0 if "context" in self.numbers else margin == VALID_MARGIN
        if lost != {2 * margin} or margin < 0 or not is_valid or not self.fixed_size:
            raise UNetError(f"{self.path}: takes images of {_text(self.input_shape[2:])} and gives results of "
                            f"{_text(self.output_shape[1:3])} (height x width), and does not say that its convolutions "
                            f"are valid; export it with results of the size of its images, or if they are valid, add "
                            f"\"context\": \"0\" to its metadata")
        return ReceptiveField(margin, 0, stride)

    def warn_of_silence(self, guess: str = "") -> None:
        """Warn once if export.py did not write the file, so that the options say what its network needs."""
        if guess or "context" not in self.numbers:
            say_once(self.path, f"its metadata do not say what its network needs; the options say it{guess}",
                     is_warning=True)

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
        sides = (own or given - 2 * self.session.lost for own, given in zip(self.output_shape[1:3], images.shape[2:]))
        expected = (len(batch), *sides, *self.output_shape[3:])
        if result.ndim != len(expected) or result.dtype.kind not in "fiu" or any(
                own not in (None, side) for own, side in zip(expected, result.shape)):
            raise UNetError(f"{self.path}: gave {_text(result.shape)} {result.dtype}, expected {_text(expected)} "
                            f"numbers, as it says or as its input has; export the network again")
        return result[:len(images)]

    def check(self, num_channels: int, num_classes: int) -> None:
        """Raise UNetError if the file tells another number of channels or classes."""
        if self.input_shape[1] not in (None, num_channels):
            raise UNetError(f"{self.path}: takes {self.input_shape[1]} channel(s), num_channels is {num_channels}")
        if self.num_classes not in (None, num_classes):
            raise UNetError(f"{self.path}: has {self.num_classes} classes, num_classes is {num_classes}")

    def _check_images(self, shape):
        grid = self.numbers.get("grid", 1)
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
