"""One evaluation for every way to predict: a checkpoint, an ONNX file, evaluation while training.

Without MindSpore. A predictor is a function: (1, C, H, W) float32 image -> (1, h, w, classes) probabilities
(Softmax), (1, h, w, 1) probabilities of class 1 of two (Sigmoid), or (1, h, w) class numbers (Argmax).
"""
import logging
from dataclasses import dataclass, field

import cv2
import numpy as np

from src.evaluation.metrics import ClassCounts, foreground_metrics, soft_dice_iou
from src.model_utils.errors import UNetError, first_few

logger = logging.getLogger("unet")


@dataclass
class Scores:
    """What an evaluation found.

    Attributes:
        names: of the images.
        dice, iou: soft Dice and IoU of each image.
        hard: ``ClassCounts.summary()`` over all images.
        hard_per_image: name -> values of ``foreground_metrics``, one of each image.
        confusion: (classes, classes) pixels over all images, a row a class of the label, a column a predicted one.
        board: name -> ``src.evaluation.isbi_metrics.Best``, the ISBI board's metrics, where they are asked for.
        include_background: whether class 0 counts in the soft metrics.
    """
    include_background: bool
    names: list = field(default_factory=list)
    dice: list = field(default_factory=list)
    iou: list = field(default_factory=list)
    hard: dict = field(default_factory=dict)
    hard_per_image: dict = field(default_factory=dict)
    confusion: list = field(default_factory=list)
    board: dict = field(default_factory=dict)

    @property
    def mean_dice(self):
        """Cross-valid soft Dice: the mean over images."""
        return float(np.mean(self.dice))

    @property
    def mean_iou(self):
        """Cross-valid soft IoU: the mean over images."""
        return float(np.mean(self.iou))

    def metric(self, name):
        """The mean over images of one of ``src.evaluation.metrics.METRICS``."""
        return float(np.mean({"dice_coeff": self.dice, "iou": self.iou, **self.hard_per_image}[name]))

    def line(self, names):
        """Several metrics as text: ``acc: 0.9124, hard_iou: 0.8831``."""
        return ", ".join(f"{name}: {self.metric(name):.4f}" for name in names)

    def as_dict(self):
        """Plain numbers for metrics.json."""
        board = {name: {"value": best.value, "threshold": best.threshold} for name, best in self.board.items()}
        return {"soft": {"dice_coeff": self.mean_dice, "iou": self.mean_iou,
                         "include_background": self.include_background,
                         "definition": "mean over images of 2 sum(p y) / (sum(p^2) + sum(y^2)) over the one-hot volume",
                         "per_image": [{"name": name, "dice_coeff": dice, "iou": iou}
                                       for name, dice, iou in zip(self.names, self.dice, self.iou)]},
                "hard": {"definition": "from pixel counts over all images; one class against the rest",
                         **self.hard, "confusion": self.confusion},
                "hard_per_image": {"definition": "mean over images; the foreground, all classes but 0, against the "
                                                 "background; 1e-5 in the denominators of all but acc",
                                   **{name: self.metric(name) for name in self.hard_per_image},
                                   "per_image": [{"name": name, **dict(zip(self.hard_per_image, values))}
                                                 for name, *values in zip(self.names, *self.hard_per_image.values())]},
                **({"isbi_board": board} if board else {})}


@dataclass(frozen=True)
class Judged:
    """One image of an evaluation.

    Attributes:
        index: in the samples, from 0.
        volume: (h, w, classes) float32, the prediction in the label's size.
        predicted, classes: (h, w) class numbers, of the prediction and of the label.
        dice, iou: soft Dice and IoU.
    """
    index: int
    volume: np.ndarray
    predicted: np.ndarray
    classes: np.ndarray
    dice: float
    iou: float


def evaluate(predict, samples, options, on_image=None):
    """Score a predictor on validation samples.

    Args:
        predict (callable): see the module.
        samples (ValidationSamples): images and classes.
        options (ScoreOptions): how to score.
        on_image (callable): called with the Judged of each image.

    Returns:
        Scores.

    Raises:
        UNetError: no validation image.
    """
    if len(samples) == 0:
        raise UNetError("no validation image to evaluate on; lower split, or put images into val/")
    scores = Scores(options.include_background)
    counts = ClassCounts(samples.num_classes)
    one_class = []
    for index in range(len(samples)):
        image, classes = samples[index]
        output = predict(image[None])[0]
        if output.shape[:2] != classes.shape and not samples.keep_label_size:
            raise UNetError(f"the prediction is {output.shape[0]}x{output.shape[1]} (height x width), the labels are "
                            f"{classes.shape[0]}x{classes.shape[1]}; give the image_size and crop of the training")
        volume = to_volume(output, classes.shape, samples.num_classes, options)
        first = 0 if options.include_background else 1
        label = np.arange(samples.num_classes) == classes[..., None]
        dice, iou = soft_dice_iou(volume[..., first:], label[..., first:])
        predicted = volume.argmax(axis=-1)
        counts.add(predicted, classes)
        if predicted.min() == predicted.max():
            one_class.append(f"{samples.name(index)} (class {predicted.min()})")
        scores.names.append(samples.name(index))
        scores.dice.append(dice)
        scores.iou.append(iou)
        for name, value in foreground_metrics(predicted, classes).items():
            scores.hard_per_image.setdefault(name, []).append(value)
        if on_image:
            on_image(Judged(index, volume, predicted, classes, dice, iou))
    scores.hard, scores.confusion = counts.summary(), counts.matrix.tolist()
    if one_class:
        logger.warning("WARNING: the prediction is one class alone for %d of %d images: %s", len(one_class),
                       len(samples), first_few(one_class))
    return scores


@dataclass(frozen=True)
class ScoreOptions:
    """How predictions are scored.

    Attributes:
        activate: Softmax, Sigmoid or Argmax, what the predictor gives.
        include_background: count class 0 in the soft metrics.
    """
    activate: str = "Softmax"
    include_background: bool = True

    @classmethod
    def from_config(cls, config):
        """The options' eval_activate and include_background."""
        return cls(config.eval_activate, config.include_background)


def to_volume(output, size, num_classes, options):
    """A predictor's output for one image -> (H, W, C) float32 of the label's ``size``.

    Where the sizes differ (``eval_resize``), probabilities are resized as 8-bit maps, bilinearly, and class
    maps by the nearest neighbour: the published protocol.
    """
    if options.activate == "Argmax":
        maps = (np.arange(num_classes) == output[..., None]).astype(np.uint8)     # (h, w, C)
        return _resize(maps, size, cv2.INTER_NEAREST).astype(np.float32)
    output = with_both_classes(output)
    if output.shape[:2] == tuple(size):
        return output
    return _resize(np.uint8(output * 255), size, cv2.INTER_LINEAR).astype(np.float32) / 255


def with_both_classes(probabilities):
    """(..., 1) probabilities of class 1 -> (..., 2) of both classes; those of more classes as they are."""
    if probabilities.shape[-1] > 1:
        return probabilities
    return np.concatenate([1 - probabilities, probabilities], axis=-1)


def _resize(maps, size, interpolation):
    if maps.shape[:2] == tuple(size):
        return maps
    # One class at a time: OpenCV takes few channels.
    return np.stack([cv2.resize(np.ascontiguousarray(maps[..., c]), (size[1], size[0]), interpolation=interpolation)
                     for c in range(maps.shape[-1])], axis=-1)
