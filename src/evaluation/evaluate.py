"""Evaluation of any predictor: a checkpoint, an ONNX file, another runtime's results, a network while it trains.

A predictor is a function of a (1, C, H, W) float32 image. It returns (1, h, w, classes) probabilities (Softmax),
(1, h, w, 1) probabilities of class 1 of two classes (Sigmoid), or (1, h, w) class numbers (Argmax).
"""
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from src.evaluation.metrics import ClassCounts, foreground_metrics, soft_dice_iou
from src.evaluation.scores import Scores
from src.model_utils.config import Config
from src.model_utils.errors import UNetError, first_few

logger = logging.getLogger("unet")

Predictor = Callable[[np.ndarray], np.ndarray]


class LabelledImages(Protocol):
    """Images and their labels; ``src.data.samples.ValidationSamples`` is the project's own.

    ``samples[index]`` is (image, classes): (C, H, W) float32, and (h, w) class numbers.

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
    """
    activate: str = "Softmax"
    include_background: bool = True

    @classmethod
    def from_config(cls, config: Config) -> "ScoreOptions":
        """Take eval_activate and include_background from the options."""
        return cls(config.eval_activate, config.include_background)


@dataclass(frozen=True)
class ScoredImage:
    """One image of an evaluation.

    Attributes:
        index: index in the samples, from 0.
        volume: (h, w, classes) float32 probabilities of the prediction, in the label's size.
        predicted, classes: (h, w) class numbers of the prediction and of the label.
        dice, iou: soft Dice and IoU.
    """
    index: int
    volume: np.ndarray
    predicted: np.ndarray
    classes: np.ndarray
    dice: float
    iou: float


def evaluate(predict: Predictor, samples: LabelledImages, options: ScoreOptions,
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
        UNetError: there is no image, or a prediction's size differs from its label's.
    """
    if len(samples) == 0:
        raise UNetError("no validation image to evaluate on; lower split, or put images into val/")
    scores = Scores(options.include_background)
    counts = ClassCounts(samples.num_classes)
    one_class = []
    for index in range(len(samples)):
        image = _score_image(predict, samples, index, options)
        name, predicted = samples.name(index), image.predicted
        counts.add(predicted, image.classes)
        if predicted.min() == predicted.max():
            one_class.append(f"{name} (class {predicted.min()})")
        scores.names.append(name)
        scores.dice.append(image.dice)
        scores.iou.append(image.iou)
        for metric, value in foreground_metrics(predicted, image.classes).items():
            scores.hard_per_image.setdefault(metric, []).append(value)
        for listener in listeners:
            listener(image)
    scores.hard, scores.confusion = counts.summary(), counts.matrix.tolist()
    if one_class:
        logger.warning("WARNING: the prediction has only one class for %d of %d images: %s", len(one_class),
                       len(samples), first_few(one_class))
    return scores


def _score_image(predict: Predictor, samples: LabelledImages, index: int, options: ScoreOptions) -> ScoredImage:
    image, classes = samples[index]
    output = predict(image[None])[0]
    if output.shape[:2] != classes.shape and not samples.keep_label_size:
        raise UNetError(f"the prediction is {output.shape[0]}x{output.shape[1]} (height x width), the label "
                        f"{classes.shape[0]}x{classes.shape[1]}; give the image_size and crop of the training")
    volume = to_volume(output, classes.shape, samples.num_classes, options.activate)
    first = 0 if options.include_background else 1
    label = np.arange(samples.num_classes) == classes[..., None]
    return ScoredImage(index, volume, volume.argmax(axis=-1), classes,
                       *soft_dice_iou(volume[..., first:], label[..., first:]))


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
    if activate == "Argmax":
        maps = (np.arange(num_classes) == output[..., None]).astype(np.uint8)     # (h, w, C)
        return _resize(maps, size, cv2.INTER_NEAREST).astype(np.float32)
    output = with_both_classes(output)
    if output.shape[:2] == tuple(size):
        return output
    return _resize((output * 255).astype(np.uint8), size, cv2.INTER_LINEAR).astype(np.float32) / 255


def with_both_classes(probabilities: np.ndarray) -> np.ndarray:
    """Convert (..., 1) probabilities of class 1 to (..., 2) of both classes; return those of more classes as is."""
    if probabilities.shape[-1] > 1:
        return probabilities
    return np.concatenate([1 - probabilities, probabilities], axis=-1)


def _resize(maps: np.ndarray, size: tuple[int, ...], interpolation: int) -> np.ndarray:
    if maps.shape[:2] == tuple(size):
        return maps
    # Each class by itself: OpenCV resizes only a few channels at once.
    return np.stack([cv2.resize(np.ascontiguousarray(maps[..., c]), (size[1], size[0]), interpolation=interpolation)
                     for c in range(maps.shape[-1])], axis=-1)
