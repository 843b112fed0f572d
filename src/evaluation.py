"""One evaluation for every way to predict: a checkpoint, an ONNX file, evaluation while training.

Without MindSpore. A predictor is a function: (1, C, H, W) float32 image -> (1, h, w, classes) probabilities
(Softmax), (1, h, w, 1) probabilities of class 1 of two (Sigmoid), or (1, h, w) class numbers (Argmax).
"""
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from src.data.transforms import resize_image
from src.drawing import ClassDrawer
from src.metrics import HARD_METRICS, ClassCounts, foreground_metrics, soft_dice_iou
from src.model_utils.errors import UNetError, some
from src.model_utils.files import METRICS, write_atomically
from src.report.gallery import Gallery

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
        board: name -> ``src.isbi_metrics.Best``, the ISBI board's metrics, where they are asked for.
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
        """The mean over images of one of ``src.metrics.METRICS``."""
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
                       len(samples), some(one_class))
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


def report(predict, samples, config, model, script, device):
    """Evaluate, print the log lines and the table, write metrics.json, and draw and write report.html if asked to.

    Args:
        predict (callable): see the module.
        samples (ValidationSamples): images and classes.
        config (Config): eval_*, show_eval, color, report, isbi_metrics and output_path count.
        model (str): file that was evaluated, for metrics.json and the report.
        script, device (str): who evaluates, and where the network runs, for the report.

    Returns:
        Scores.
    """
    output = Path(config.output_path)
    drawer = ClassDrawer(output / "draw_eval", config.color, config.num_classes) if config.show_eval else None
    gallery = Gallery(samples) if config.report else None
    board = _board_metrics(config)

    def on_image(judged):
        logger.info("single dice coeff is: %s, IOU is: %s", judged.dice, judged.iou)
        if drawer:
            drawer.draw(judged.index + 1, judged.predicted, judged.classes)
        if gallery:
            gallery.add(judged)
        if board:
            label = samples.own_classes(judged.index)
            board.add(label, resize_image(np.ascontiguousarray(judged.volume[..., 1]), label.shape))

    logger.info("============== Starting Evaluating ============")
    scores = evaluate(predict, samples, ScoreOptions.from_config(config), on_image)
    if board:
        scores.board = board.best()
        if not scores.board:
            logger.warning("WARNING: no validation label has a cell, so there is no V_rand and no V_info")
    logger.info("hard metrics, from the pixel counts of all %d images:", len(scores.dice))
    for line in hard_table(scores.hard):
        logger.info("  %s", line)
    logger.info("hard metrics of the foreground, mean over the images: %s", scores.line(scores.hard_per_image))
    for name, best in scores.board.items():
        logger.info("%s: %s", name, best)
    logger.info("soft Dice and IoU, mean over the images, %s:", _soft_note(config))
    logger.info("============== Cross valid dice coeff is: %s", scores.mean_dice)
    logger.info("============== Cross valid IOU is: %s", scores.mean_iou)
    about = {"model": str(model), "model_name": config.model_name, "dataset": config.dataset,
             "data_path": config.data_path, "eval_activate": config.eval_activate, "tta": config.tta}
    write_atomically(output / METRICS, json.dumps({**about, **scores.as_dict()}, indent=2).encode())
    logger.info("metrics: %s", output / METRICS)
    if drawer:
        drawer.remove_beyond(len(scores.dice))
        logger.info("pictures: %s", drawer.folder)
    if gallery:
        from src.report.page import Subject, write_report  # matplotlib takes a second to load

        write_report(config, Subject(script, str(model), device, scores, gallery))
    return scores


def _board_metrics(config):
    """``BoardMetrics`` where the options ask for them, else None."""
    if not config.isbi_metrics:
        return None
    if config.num_classes != 2:
        raise UNetError(f"isbi_metrics compares cells with what is between them, but num_classes is "
                        f"{config.num_classes}; leave it out for more than two classes")
    from src.isbi_metrics import BoardMetrics  # scikit-image takes a moment to load

    return BoardMetrics()


def _soft_note(config):
    if not config.include_background:
        return "without the background"
    if config.eval_activate == "Argmax":
        return "over all classes, which makes the Dice the pixel accuracy"
    return "over all classes"


def hard_table(hard, most_classes=10):
    """Lines of the table of hard metrics: a row a class (few of them), the mean, the foreground."""
    count = len(hard["Acc"]["per_class"])
    rows = [(f"class {c}", lambda name, c=c: hard[name]["per_class"][c]) for c in range(count)] \
        if count <= most_classes else []
    rows += [("mean", lambda name: hard[name]["mean"]), ("foreground", lambda name: hard[name]["foreground"])]
    lines = [f"{'':<12}" + "".join(f"{name:>9}" for name in HARD_METRICS)]
    for title, value in rows:
        cells = (value(name) for name in HARD_METRICS)
        lines.append(f"{title:<12}" + "".join(f"{'-':>9}" if cell is None else f"{cell:>9.4f}" for cell in cells))
    return lines

