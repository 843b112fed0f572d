"""An evaluation for its reader: log lines, tables, metrics.json, pictures and report.html."""
import json
import logging
from pathlib import Path

import numpy as np

from src.data.transforms import resize_image
from src.evaluation.evaluate import ScoreOptions, evaluate
from src.evaluation.metrics import HARD_METRICS
from src.model_utils.errors import UNetError
from src.model_utils.files import DRAW_EVAL, METRICS_JSON, write_atomically
from src.report.drawing import ClassDrawer
from src.report.gallery import Gallery

logger = logging.getLogger("unet")


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
    drawer = ClassDrawer(output / DRAW_EVAL, config.color, config.num_classes) if config.show_eval else None
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
    write_atomically(output / METRICS_JSON, json.dumps({**about, **scores.as_dict()}, indent=2).encode())
    logger.info("metrics: %s", output / METRICS_JSON)
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
    from src.evaluation.isbi_metrics import BoardMetrics  # scikit-image takes a moment to load

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

