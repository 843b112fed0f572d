"""Evaluation with all that users see of it: log lines, metrics.json, drawings and report.html."""
import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.data.samples import ValidationSamples
from src.data.transforms import resize_image
from src.evaluation.evaluate import Predictor, ScoredImage, ScoreOptions, evaluate
from src.evaluation.metrics import HARD_METRICS, MetricSummary
from src.evaluation.scores import Scores
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import DRAW_EVAL, METRICS_JSON, write_atomically
from src.report.drawing import ClassDrawer
from src.report.gallery import Gallery

if TYPE_CHECKING:       # scikit-image takes a moment to load
    from src.evaluation.isbi_metrics import BoardMetrics

logger = logging.getLogger("unet")


def evaluate_and_report(predict: Predictor, samples: ValidationSamples, config: Config, model: str | Path, script: str,
                        device: str) -> Scores:
    """Evaluate a predictor, log its scores and write metrics.json; draw and write report.html if the options say so.

    Args:
        predict (callable): a predictor, see ``src.evaluation.evaluate``.
        samples (ValidationSamples): images and labels.
        config (Config): all options; report.html lists them.
        model (str | Path): file or folder that is evaluated.
        script (str): name of the script that evaluates, for report.html.
        device (str): device on which the network runs, for report.html.

    Returns:
        Scores.

    Raises:
        UNetError: isbi_metrics without exactly two classes, a file that cannot be written, or see ``evaluate``.
    """
    output = Path(config.output_path)
    drawer = ClassDrawer(output / DRAW_EVAL, config.color, config.num_classes) if config.show_eval else None
    gallery = Gallery(samples) if config.report else None
    board = _board_metrics(config.num_classes) if config.isbi_metrics else None
    listeners: list[Callable[[ScoredImage], None]] = [log_image]
    if drawer:
        listeners.append(drawer.draw)
    if gallery:
        listeners.append(gallery.add)
    if board:
        listeners.append(partial(_add_to_board, board, samples))

    logger.info("============== Starting Evaluating ============")
    scores = evaluate(predict, samples, ScoreOptions.from_config(config), *listeners)
    if board:
        scores.board = board.best()
        if not scores.board:
            logger.warning("WARNING: no validation label has a cell, so there is no V_rand and no V_info")
    log_scores(scores, config.eval_activate)
    write_metrics(output / METRICS_JSON, scores, config, model)
    if drawer:
        drawer.remove_beyond(len(scores.dice))
        logger.info("pictures: %s", drawer.folder)
    if gallery:
        from src.report.page import ReportInput, write_report  # matplotlib takes a second to load

        write_report(config, ReportInput(script, str(model), device, scores, gallery))
    return scores


def _board_metrics(num_classes: int) -> "BoardMetrics":
    if num_classes != 2:
        raise UNetError(f"isbi_metrics needs two classes, cell and membrane, but num_classes is {num_classes}; set "
                        f"isbi_metrics to False")
    from src.evaluation.isbi_metrics import BoardMetrics

    return BoardMetrics()


def _add_to_board(board: "BoardMetrics", samples: ValidationSamples, image: ScoredImage) -> None:
    """Score a slice in the size of its label file, as the board does; the probabilities are resized to it."""
    label = samples.own_classes(image.index)
    board.add(label, resize_image(np.ascontiguousarray(image.volume[..., 1]), label.shape))


def log_image(image: ScoredImage) -> None:
    """Log the soft metrics of one image."""
    logger.info("single dice coeff is: %s, IOU is: %s", image.dice, image.iou)


def log_scores(scores: Scores, activate: str) -> None:
    """Log the metrics over all images; ``activate`` is the kind of the predictor's output, see ``ScoreOptions``."""
    logger.info("hard metrics, from the pixel counts of all %d images:", len(scores.dice))
    for line in hard_table(scores.hard):
        logger.info("  %s", line)
    logger.info("hard metrics of the foreground, mean over the images: %s", scores.line(scores.hard_per_image))
    for name, best in scores.board.items():
        logger.info("%s: %s", name, best)
    over = "over all classes" if scores.include_background else "without the background"
    if scores.include_background and activate == "Argmax":
        over += ", which makes the Dice the pixel accuracy"
    logger.info("soft Dice and IoU, mean over the images, %s:", over)
    logger.info("============== Cross valid dice coeff is: %s", scores.mean_dice)
    logger.info("============== Cross valid IOU is: %s", scores.mean_iou)


def hard_table(hard: dict[str, MetricSummary], most_classes: int = 10) -> list[str]:
    """Format the hard metrics as the lines of a table.

    It has a row for each class (if there are at most ``most_classes``), one for the mean, one for the foreground.
    """
    count = len(hard["Acc"]["per_class"])
    rows = {f"class {number}": [hard[name]["per_class"][number] for name in HARD_METRICS]
            for number in range(count if count <= most_classes else 0)}
    rows["mean"] = [hard[name]["mean"] for name in HARD_METRICS]
    rows["foreground"] = [hard[name]["foreground"] for name in HARD_METRICS]
    return [f"{'':<12}" + "".join(f"{name:>9}" for name in HARD_METRICS),
            *(f"{title:<12}" + "".join(f"{'-':>9}" if value is None else f"{value:>9.4f}" for value in values)
              for title, values in rows.items())]


def write_metrics(path: Path, scores: Scores, config: Config, model: str | Path) -> None:
    """Write metrics.json: what was evaluated on which data, and the scores."""
    about = {"model": str(model), "model_name": config.model_name, "dataset": config.dataset,
             "data_path": config.data_path, "eval_activate": config.eval_activate, "tta": config.tta}
    write_atomically(path, json.dumps({**about, **scores.as_dict()}, indent=2).encode())
    logger.info("metrics: %s", path)
