"""Evaluation of any predictor: a checkpoint, an ONNX file, another runtime's results, a network while it trains.

A predictor is a function of a (1, C, H, W) float32 image. It returns (1, h, w, classes) probabilities (Softmax),
(1, h, w, 1) probabilities of class 1 of two classes (Sigmoid), or (1, h, w) class numbers (Argmax). Of a large image it
may instead yield such results band by band, from top to bottom, of the label's width.
"""
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from src.evaluation.metrics import ClassCounts, dice_iou_of, dice_sums, foreground_of
from src.evaluation.objects import without_rim
from src.evaluation.scores import Scores
from src.model_utils.config import Config
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import writing

logger = logging.getLogger("unet")

Predictor = Callable[[np.ndarray], np.ndarray]
BandPredictor = Callable[[np.ndarray], Iterator[np.ndarray]]

# Pixels whose scores are computed at once. Images of published protocols are smaller; sums over them are not divided.
MOST_PIXELS = 2**24
MOST_BYTES = 2**29      # of a resized prediction in memory


class BadPrediction(UNetError):
    """A prediction has values that none can have; the message does not say of which image."""


class LabelledImages(Protocol):
    """Images and their labels; ``src.data.samples.ValidationSamples`` is the project's own.

    ``samples[index]`` is (image, classes): (C, H, W) float32, and (h, w) class numbers. Pixels with other numbers, from
    ``num_classes`` on, count in no metric.

    Attributes:
        num_classes: number of classes.
        keep_label_size: whether predictions are resized to labels of another size; otherwise that is an error.
    """
    num_classes: int
    keep_label_size: bool

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]: ...

    def name(self, index: int) -> str:
        """Return the name of an image."""


@dataclass(frozen=True)
class ScoreOptions:
    """How to score predictions.

    Attributes:
        activate: Softmax, Sigmoid or Argmax: the kind of the predictor's output, see the module.
        include_background: whether class 0 counts in the soft metrics.
        has_rim: the output has one class more than the labels: background, interior and rim of objects. Scores take
            interior and rim together.
    """
    activate: str = "Softmax"
    include_background: bool = True
    has_rim: bool = False

    @classmethod
    def from_config(cls, config: Config) -> "ScoreOptions":
        """Take eval_activate, include_background and target from the options."""
        return cls(config.eval_activate, config.include_background, config.has_rim)


@dataclass(frozen=True)
class ScoredImage:
    """One image of an evaluation.

    Attributes:
        index: index in the samples, from 0.
        volume: (h, w, classes) float32 probabilities of the prediction, in the label's size; None of images of more
            than ``MOST_PIXELS``.
        predicted, classes: (h, w) class numbers of the prediction and of the label.
        counted: (h, w) bool, where the label has a class.
        dice, iou: soft Dice and IoU.
        interior: (h, w) float32 probabilities of the interior of objects, of an output with a rim; else None.
    """
    index: int
    volume: np.ndarray | None
    predicted: np.ndarray
    classes: np.ndarray
    counted: np.ndarray
    dice: float
    iou: float
    interior: np.ndarray | None = None

    @property
    def line(self) -> str:
        """The soft metrics as text."""
        return f"single dice coeff is: {self.dice}, IOU is: {self.iou}"


def evaluate(predict: Predictor | BandPredictor, samples: LabelledImages, options: ScoreOptions,
             *listeners: Callable[[ScoredImage], object]) -> Scores:
    """Score a predictor on labelled images.

    Args:
        predict (callable): a predictor, see the module.
        samples (LabelledImages): images and labels.
        options (ScoreOptions): how to score.
        listeners (callables): each is called with the ScoredImage of every image.

    Returns:
        Scores.

    Raises:
        UNetError: there is no image, or a prediction has another size than its label, not-a-number, or numbers of other
            classes.
    """
    if len(samples) == 0:
        raise UNetError("no validation image to evaluate on; lower split, or put images into val/")
    scores = Scores(options.include_background)
    counts = ClassCounts(samples.num_classes)
    one_class, ignored = [], []
    for index in range(len(samples)):
        name = samples.name(index)
        try:
            image, pixels = _score_image(predict, samples, index, options)
        except BadPrediction as error:
            raise UNetError(f"{name}: {error}") from None
        predicted = image.predicted
        if not image.counted.any():
            ignored.append(name)
            continue
        counts.matrix += pixels.matrix
        if predicted.min() == predicted.max():
            one_class.append(f"{name} (class {predicted.min()})")
        scores.names.append(name)
        scores.dice.append(image.dice)
        scores.iou.append(image.iou)
        for metric, value in foreground_of(pixels).items():
            scores.hard_per_image.setdefault(metric, []).append(value)
        for listener in listeners:
            listener(image)
    if ignored:
        logger.warning("WARNING: the labels of %d of %d images have only ignored pixels; these images are left out: %s",
                       len(ignored), len(samples), first_few(ignored))
    if not scores.names:
        raise UNetError(f"the labels of all {len(samples)} validation images have only ignored pixels; there is "
                        f"nothing to score")
    scores.hard, scores.confusion = counts.summary(), counts.matrix.tolist()
    if one_class:
        logger.warning("WARNING: the prediction has only one class for %d of %d images: %s", len(one_class),
                       len(samples), first_few(one_class))
    return scores


def _score_image(predict: Predictor | BandPredictor, samples: LabelledImages, index: int,
                 options: ScoreOptions) -> tuple[ScoredImage, ClassCounts]:
    pixels, classes = samples[index]
    bands = _bands(predict(pixels[None]), classes.shape, samples, options)
    first = 0 if options.include_background else 1
    counted = classes < samples.num_classes
    predicted, counts, sums, kept = np.empty(classes.shape, np.uint8), ClassCounts(samples.num_classes), np.zeros(3), []
    interiors: list[np.ndarray] = []
    top = 0
    for output in bands:
        volume = without_rim(output) if options.has_rim else output
        rows = slice(top, top + len(volume))
        top = rows.stop
        predicted[rows] = volume.argmax(axis=-1)
        counts.add(predicted[rows][counted[rows]], classes[rows][counted[rows]])
        label = np.arange(samples.num_classes) == classes[rows][counted[rows]][:, None]     # (pixels, classes)
        sums += dice_sums(volume[counted[rows]][:, first:], label[:, first:])
        if classes.size <= MOST_PIXELS:
            kept.append(volume)
            if options.has_rim:
                interiors.append(output[..., 1].copy())
    image = ScoredImage(index, _joined(kept), predicted, classes, counted, *dice_iou_of(sums), _joined(interiors))
    return image, counts


def _joined(bands: list[np.ndarray]) -> np.ndarray | None:
    return bands[0] if len(bands) == 1 else np.concatenate(bands) if bands else None


def _bands(output: np.ndarray | Iterator[np.ndarray], size: tuple[int, ...], samples: LabelledImages,
           options: ScoreOptions) -> Iterator[np.ndarray]:
    """Yield the probabilities, (rows, W, classes) float32, of what a predictor returned for an image."""
    num_classes = samples.num_classes + options.has_rim
    if not isinstance(output, np.ndarray):
        for band in output:
            yield to_volume(band[0], (band.shape[1], size[1]), num_classes, options.activate)
        return
    if output.shape[1:3] != size and not samples.keep_label_size:
        raise BadPrediction(f"the prediction is {output.shape[1]}x{output.shape[2]} (height x width), the label "
                            f"{size[0]}x{size[1]}; give the image_size and crop of the training")
    yield from volume_bands(output[0], size, num_classes, options.activate, max(1, MOST_PIXELS // size[1]))


def to_volume(output: np.ndarray, size: tuple[int, ...], num_classes: int, activate: str) -> np.ndarray:
    """Convert a predictor's output for one image to (H, W, C) float32 probabilities of the label's ``size``.

    If the sizes differ (``eval_resize``), probabilities are resized bilinearly as 8-bit maps, and class numbers by the
    nearest neighbour, as in the published protocol.

    Args:
        output (np.ndarray): (h, w, classes), (h, w, 1) or (h, w), see the module.
        size (tuple): (H, W) of the label.
        num_classes (int): C.
        activate (str): Softmax, Sigmoid or Argmax.
    """
    return _probabilities(_maps(output, size, num_classes, activate), activate)


def volume_bands(output: np.ndarray, size: tuple[int, ...], num_classes: int, activate: str,
                 rows: int) -> Iterator[np.ndarray]:
    """Yield ``to_volume`` from top to bottom, (rows, W, C) float32 each; the last may have fewer rows.

    Memory holds one of them, and where the sizes differ, C bytes a pixel, up to ``MOST_BYTES``; beyond, a file does.
    """
    maps = _maps(output, size, num_classes, activate)
    for top in range(0, size[0], rows):
        yield _probabilities(maps[top:top + rows], activate)


def _maps(output: np.ndarray, size: tuple[int, ...], num_classes: int, activate: str) -> np.ndarray:
    """Return ``to_volume``, in 8 bits where it comes from them."""
    if activate == "Argmax":
        check_class_numbers(output, num_classes)
        return _resize((np.arange(num_classes) == output[..., None]).astype(np.uint8), size, cv2.INTER_NEAREST)
    check_finite(output)
    output = with_both_classes(output)
    return output if output.shape[:2] == tuple(size) else _resize((output * 255).astype(np.uint8), size,
                                                                  cv2.INTER_LINEAR)


def check_finite(output: np.ndarray) -> None:
    """Raise BadPrediction for probabilities, or sums of them, that are not-a-number or infinite."""
    if not np.isfinite(output).all():
        raise BadPrediction("the prediction has values that are no numbers (NaN or infinite): the network's weights "
                            "are damaged, or its training diverged")


def one_hot(network: Predictor, num_classes: int) -> Predictor:
    """Turn the class numbers of a network into probabilities of 0 and 1, (n, h, w, num_classes) float32."""
    def predict(images: np.ndarray) -> np.ndarray:
        numbers = network(images)
        check_class_numbers(numbers, num_classes)
        return (np.arange(num_classes) == numbers[..., None]).astype(np.float32)
    return predict


def check_class_numbers(output: np.ndarray, num_classes: int) -> None:
    """Raise BadPrediction unless all numbers are those of classes."""
    if output.size and not 0 <= output.min() <= output.max() < num_classes:
        raise BadPrediction(f"the prediction has class numbers from {output.min()} to {output.max()}, expected 0 to "
                            f"{num_classes - 1}; set num_classes to that of the network")


def _probabilities(maps: np.ndarray, activate: str) -> np.ndarray:
    if maps.dtype != np.uint8:
        return maps
    return maps.astype(np.float32) / np.float32(1 if activate == "Argmax" else 255)


def with_both_classes(probabilities: np.ndarray) -> np.ndarray:
    """Convert (..., 1) probabilities of class 1 to (..., 2) of both classes; return those of more classes as is."""
    if probabilities.shape[-1] > 1:
        return probabilities
    return np.concatenate([1 - probabilities, probabilities], axis=-1)


def _resize(maps: np.ndarray, size: tuple[int, ...], interpolation: int) -> np.ndarray:
    if maps.shape[:2] == tuple(size):
        return maps
    # Each class by itself: OpenCV resizes only a few channels at once.
    shape = (maps.shape[-1], *size)
    if math.prod(shape) * maps.itemsize <= MOST_BYTES:
        resized = np.empty(shape, maps.dtype)
    else:       # of many classes: in a file without a name, which is gone when nothing needs it any more
        with writing("the resized prediction"), tempfile.TemporaryFile() as file:
            # A file with holes would end the process where the disk is full.
            os.posix_fallocate(file.fileno(), 0, math.prod(shape) * maps.itemsize)
            resized = np.memmap(file, maps.dtype, "r+", shape=shape)
    for number, plane in enumerate(resized):
        cv2.resize(np.ascontiguousarray(maps[..., number]), (size[1], size[0]), plane, interpolation=interpolation)
    return resized.transpose(1, 2, 0)
