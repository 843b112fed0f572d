"""Evaluation with all that users see of it: log lines, metrics.json, drawings and report.html."""
import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.data.data_options import class_names
from src.data.samples import ValidationSamples
from src.data.transforms import resize_image
from src.evaluation.evaluate import MOST_PIXELS, BandPredictor, Predictor, ScoredImage, ScoreOptions, evaluate
from src.evaluation.membranes import contours
from src.evaluation.metrics import HARD_METRICS, MetricSummary
from src.evaluation.objects import ObjectOptions
from src.evaluation.scores import Scores
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import METRICS_JSON, OptionalFile, json_bytes, write_atomically
from src.report.drawing import ClassDrawer
from src.report.gallery import Gallery
from src.report.object_fit import fit_or_follow
from src.report.object_scores import ObjectScorer, check_can_be_kept

if TYPE_CHECKING:       # scikit-image takes a moment to load
    from src.evaluation.isbi_metrics import BoardMetrics

logger = logging.getLogger("unet")

WITHOUT_NETWORK = "postprocess.py"      # scores the results of another runtime


def evaluate_and_report(predict: Predictor | BandPredictor, samples: ValidationSamples, config: Config,
                        model: str | Path, script: str, device: str, stored_names: Sequence[str] = ()) -> Scores:
    """Evaluate a predictor, log its scores and write metrics.json; draw and write report.html if the options say so.

    Files that cannot be written are left out, with a warning.

    Args:
        predict (callable): a predictor, see ``src.evaluation.evaluate``.
        samples (ValidationSamples): images and labels.
        config (Config): all options; report.html lists them.
        model (str | Path): file or folder that is evaluated.
        script (str): name of the script that evaluates, for report.html.
        device (str): device on which the network runs, for report.html.
        stored_names (sequence): names of the classes in the network's file, if neither options nor data name them.

    Returns:
        Scores.

    Raises:
        UNetError: isbi_metrics without exactly two classes, or see ``evaluate`` and ``fit_or_follow``.
    """
    if script == WITHOUT_NETWORK and config.fit_objects:
        raise UNetError(f"fit_objects predicts the training images, and {script} has no network; use eval.py or "
                        f"infer_unet_onnx.py")
    config = fit_or_follow(predict, samples, config, model)
    output = Path(config.output_path)
    writes = not _is_of_another_machine(config)
    drawer = ClassDrawer(output, config.color, config.num_classes) if config.show_eval and writes else None
    gallery = Gallery(samples) if config.report and writes else None
    board = _board_metrics(config.num_classes) if config.isbi_metrics else None
    listeners: list[Callable[[ScoredImage], None]] = [log_image]
    if drawer:
        listeners.append(drawer.draw)
    if gallery:
        listeners.append(gallery.add)
    if board:
        listeners.append(partial(_add_to_board, board, samples, contours(config.close_membranes)))
    objects = _object_scorer(samples, config, gallery)
    if objects:
        listeners.append(objects.add)

    logger.info("============== Starting Evaluating ============")
    scores = evaluate(predict, samples, ScoreOptions.from_config(config), *listeners)
    if board:
        scores.board = board.best()
        if not scores.board:
            logger.warning("WARNING: no validation label has a cell, so there is no V_rand and no V_info")
    scores.objects = objects.scores if objects else None
    names = class_names(config, stored_names)
    log_scores(scores, names, config.eval_activate)
    if writes:
        OptionalFile().write(write_metrics, output / METRICS_JSON, scores, names, config, model)
    if drawer:
        drawer.finish()
    if gallery:
        from src.report.page import ReportInput, write_report  # matplotlib takes a second to load

        report_input = ReportInput(script, str(model), device, scores, gallery, stored_names)
        OptionalFile().write(write_report, config, report_input)
    return scores


def _is_of_another_machine(config: Config) -> bool:
    """Return whether only a YAML file names output_path, and not even the folder that it is in exists; warn if so.

    The model zoo's files name /cache/train, which an evaluation must not make on other machines.
    """
    path = config.output_path
    if "output_path" not in config.from_yaml or not os.path.isabs(path) or os.path.isdir(os.path.dirname(path)):
        return False
    logger.warning("WARNING: there is no folder %s, which the YAML file names as output_path; the scores are only in "
                   "this log; to write them into a folder too, give --output_path", path)
    return True


def _board_metrics(num_classes: int) -> "BoardMetrics":
    if num_classes != 2:
        raise UNetError(f"isbi_metrics needs two classes, cell and membrane, but num_classes is {num_classes}; set "
                        f"isbi_metrics to False")
    from src.evaluation.isbi_metrics import BoardMetrics

    return BoardMetrics()


def _object_scorer(samples: ValidationSamples, config: Config, gallery: Gallery | None) -> ObjectScorer | None:
    if not config.object_metrics:
        return None
    check_can_be_kept(samples)
    return ObjectScorer(samples, ObjectOptions.from_config(config), *([gallery.add_objects] if gallery else []))


def _add_to_board(board: "BoardMetrics", samples: ValidationSamples, contours: Callable[[np.ndarray], np.ndarray],
                  image: ScoredImage) -> None:
    """Score a slice in the size of its label file, as the board does; the probabilities are resized to it."""
    label = samples.own_classes(image.index) == 1      # ignored pixels are in no cell
    if image.volume is None:
        raise UNetError(f"{samples.name(image.index)}: isbi_metrics takes images of up to {MOST_PIXELS} pixels; set it "
                        f"to False")
    board.add(label, contours(resize_image(np.ascontiguousarray(image.volume[..., 1]), label.shape)))


def log_image(image: ScoredImage) -> None:
    """Log the soft metrics of one image."""
    logger.info(image.line)


def log_scores(scores: Scores, names: list[str], activate: str) -> None:
    """Log the metrics over all images.

    Args:
        scores (Scores): the metrics.
        names (list[str]): names of the classes.
        activate (str): the kind of the predictor's output, see ``ScoreOptions``.
    """
    logger.info("hard metrics, from the pixel counts of all %d images:", len(scores.dice))
    for line in hard_table(scores.hard, names):
        logger.info("  %s", line)
    logger.info("hard metrics of the foreground, mean over the images: %s", scores.line(scores.hard_per_image))
    for name, best in scores.board.items():
        logger.info("%s: %s", name, best)
    if scores.objects:
        logger.info("metrics of objects:")
        for line in scores.objects.lines():
            logger.info("  %s", line)
    over = "over all classes" if scores.include_background else "without the background"
    if scores.include_background and activate == "Argmax":
        over += ", which makes the Dice the pixel accuracy"
    logger.info("soft Dice and IoU, mean over the images, %s:", over)
    logger.info("============== Cross valid dice coeff is: %s", scores.mean_dice)
    logger.info("============== Cross valid IOU is: %s", scores.mean_iou)


def hard_table(hard: dict[str, MetricSummary], names: list[str], most_classes: int = 10) -> list[str]:
    """Format the hard metrics as the lines of a table.

    It has a row for each class of ``names`` (if there are at most ``most_classes``), one for the mean, one for the
    foreground.
    """
    rows = [(title, [hard[metric]["per_class"][number] for metric in HARD_METRICS])
            for number, title in enumerate(names if len(names) <= most_classes else [])]
    rows += [("mean", [hard[metric]["mean"] for metric in HARD_METRICS]),
             ("foreground", [hard[metric]["foreground"] for metric in HARD_METRICS])]
    width = max(12, *(len(title) + 1 for title, _ in rows))
    return [f"{'':<{width}}" + "".join(f"{name:>9}" for name in HARD_METRICS),
            *(f"{title:<{width}}" + "".join(f"{'-':>9}" if value is None else f"{value:>9.4f}" for value in values)
              for title, values in rows)]


def write_metrics(path: Path, scores: Scores, names: list[str], config: Config, model: str | Path) -> None:
    """Write metrics.json: what was evaluated on which data, and the scores."""
    about = {"model": str(model), "model_name": config.model_name, "dataset": config.dataset,
             "data_path": config.data_path, "classes": names, "eval_activate": config.eval_activate,
             "tta": config.tta, "close_membranes": config.close_membranes}
    write_atomically(path, json_bytes({**about, **scores.as_dict()}, indent=2))
    logger.info("metrics: %s", path)
