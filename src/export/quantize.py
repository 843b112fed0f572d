"""ONNX files with weights and activations of eight bits. Without MindSpore.

Post-training quantization: Nagel et al. 2021, arXiv:2106.08295. The ranges of the activations are those of some
training images; what is lost is measured on the validation images.
"""
import logging
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from src.data.data_options import input_min, normalization_of
from src.data.samples import TrainingSamples, create_samples
from src.data.training_options import with_patches
from src.evaluation.evaluate import BandPredictor, Predictor, ScoreOptions, evaluate, one_hot
from src.export.onnx_model import OnnxNetwork
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.options import NATIVE
from src.model_utils.packages import import_quantization
from src.tiling.predictor import Windows, in_windows

logger = logging.getLogger("unet")

# More images change the ranges hardly; more would only take longer.
CALIBRATION_IMAGES, HELD_BACK_IMAGES = 32, 64
QUANTIZED = ["Conv", "ConvTranspose", "Relu", "MaxPool", "Concat", "Resize"]


@dataclass(frozen=True)
class Loss:
    """What a file of eight bits loses against that of 32.

    Attributes:
        dice: by how much the mean soft Dice of the held-back images is lower.
        pixels: share of their pixels with another class.
    """
    dice: float
    pixels: float

    def __str__(self) -> str:
        return f"{self.dice:.6f} of soft Dice, {self.pixels:.2%} of the pixels differ"


class Quantizer:
    """Quantizes ONNX files with the images of a data set: training images set the ranges, validation images measure.

    Args:
        config: calibration_path, quantize_tolerance, seed, and the options that the network was trained with.
        is_normalized: whether the options of the images' normalization are the network's own.
        windows: how native images are cut.

    Raises:
        UNetError: there is no such data set, or it has no validation images.
    """

    def __init__(self, config: Config, is_normalized: bool, windows: Windows):
        if not config.calibration_path:
            raise UNetError("quantize needs images; give a data set with labels with --calibration_path")
        self.config, self.windows = config, windows
        config = config.replace(data_path=config.calibration_path, train_augment=False)
        if config.image_size == NATIVE and windows.fixed_size:
            config = config.replace(train_crop=list(windows.fixed_size))
        config = with_patches(config)
        self.train, held_back = create_samples(config, normalization_of(config) if is_normalized else None)
        if len(held_back) == 0:
            raise UNetError(f"{config.data_path}: no validation images, on which to measure what quantization loses; "
                            f"lower split")
        held_back.indices = held_back.indices[::math.ceil(len(held_back) / HELD_BACK_IMAGES)]
        self.held_back = held_back

    def __call__(self, path: Path) -> None:
        """Replace an ONNX file by one of eight bits.

        Of two it is the one that loses less: with all layers quantized, or without the first and last convolution.

        Raises:
            UNetError: it loses more than quantize_tolerance of soft Dice.
        """
        with tempfile.TemporaryDirectory() as folder:
            prepared, candidates = Path(folder, "prepared.onnx"), [Path(folder, f"{name}.onnx") for name in "ab"]
            _prepare(path, prepared)
            ends = _end_convolutions(prepared)
            reference = self._predictions(path)
            losses = []
            for candidate, kept in zip(candidates, ([], ends)):
                _quantize(prepared, candidate, self.train, kept)
                losses.append(_loss(reference, self._predictions(candidate)))
                logger.info("int8%s: %s", ", first and last convolution float32" if kept else "", losses[-1])
            best = min(range(2), key=lambda number: (losses[number].dice, losses[number].pixels))
            if not losses[best].dice <= self.config.quantize_tolerance:
                raise UNetError(f"{path.name}: quantization loses {losses[best]}, and quantize_tolerance is "
                                f"{self.config.quantize_tolerance}; no file was written")
            model, original = onnx.load(candidates[best]), onnx.load(path, load_external_data=False)
            about = {entry.key: entry.value for entry in original.metadata_props}
            helper.set_model_props(model, {**about, "quantize": "int8", "quantize_loss": str(losses[best])})
            onnx.checker.check_model(model, full_check=True)
            onnx.save(model, path)
        logger.info("int8: %d images set the ranges, %d measured the loss against float32: %s",
                    min(len(self.train), CALIBRATION_IMAGES), len(self.held_back), losses[best])

    def _predictions(self, path: Path) -> "Predictions":
        network = OnnxNetwork(path)
        predict: Predictor | BandPredictor = network
        activate = network.activate
        if self.held_back.transform.geometry is None:
            of_window: Predictor = network
            if activate == "Argmax":        # windows are joined as probabilities
                activate, of_window = "Softmax", one_hot(network, self.config.network_classes)
            predict = in_windows(of_window, self.windows, input_min(self.config.input_range))
        classes: list[np.ndarray] = []
        scores = evaluate(predict, self.held_back,
                          replace(ScoreOptions.from_config(self.config), activate=activate),
                          lambda image: classes.append(image.predicted))
        return Predictions(scores.mean_dice, classes)


@dataclass(frozen=True)
class Predictions:
    """The mean soft Dice of a file, and the (h, w) class numbers that it predicts for each held-back image."""
    dice: float
    classes: list[np.ndarray]


def _loss(reference: Predictions, found: Predictions) -> Loss:
    differing = sum(np.count_nonzero(one != other) for one, other in zip(reference.classes, found.classes))
    return Loss(reference.dice - found.dice, differing / sum(classes.size for classes in reference.classes))


def _prepare(path: Path, target: Path) -> None:
    """Write the file with batch norms merged into the convolutions before them."""
    import_quantization().shape_inference.quant_pre_process(str(path), str(target), skip_symbolic_shape=True)


def _end_convolutions(path: Path) -> list[str]:
    """Return the names of the first and the last convolution."""
    names = [node.name for node in onnx.load(path).graph.node if node.op_type == "Conv"]
    return [names[0], names[-1]]


def _quantize(path: Path, target: Path, samples: TrainingSamples, kept: list[str]) -> None:
    """Write the file with eight bits, except the nodes ``kept``."""
    quantization = import_quantization()

    class Reader(quantization.CalibrationDataReader):       # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            self.images: Iterator[np.ndarray] = (samples[position][0][None] for position in
                                                 range(min(len(samples), CALIBRATION_IMAGES)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {"image": image}

    quantization.quantize_static(str(path), str(target), Reader(), quant_format=quantization.QuantFormat.QDQ,
                                 per_channel=True, activation_type=quantization.QuantType.QUInt8,
                                 weight_type=quantization.QuantType.QInt8, op_types_to_quantize=QUANTIZED,
                                 # Weights of seven bits: sums of two products overflow on x86 without VNNI.
                                 reduce_range=True, nodes_to_exclude=kept)
