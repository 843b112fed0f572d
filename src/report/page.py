"""report.html: one self-contained file about a data set, a run and its evaluation, or some of these."""
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from src.data.data_options import class_names
from src.evaluation.metrics import HARD_METRICS
from src.evaluation.object_scores import REPORTED
from src.evaluation.scores import Scores
from src.model_utils.config import Config
from src.model_utils.errors import encodable
from src.model_utils.files import DATASET_JPG, DATASET_JSON, HISTORY_CSV, REPORT_HTML, write_atomically
from src.model_utils.inputs import MissingFile, read_input, read_json
from src.report import facts
from src.report.drawing import class_colours
from src.report.figures import confusion_svg, counts_svg, curve_svgs, sizes_svg
from src.report.gallery import COLOURS, Gallery, data_uri, jpeg_uri
from src.report.history import RunCurves, read_history
from src.report.object_pictures import OBJECT_COLOURS

logger = logging.getLogger("unet")

MOST_CLASSES = 100      # with more classes, the table lists none of them


@dataclass(frozen=True)
class ReportInput:
    """What to report, besides the files of the output folder.

    Attributes:
        script: name of the script that reports, such as eval.py.
        model: the file that was evaluated, or the step of the run, as text.
        device: device on which the network ran.
        scores, gallery: scores and images of the evaluation; None without one.
        stored_names: see ``src.report.evaluation.evaluate_and_report``.
    """
    script: str
    model: str = ""
    device: str = ""
    scores: Scores | None = None
    gallery: Gallery | None = None
    stored_names: Sequence[str] = ()


def write_report(config: Config, report_input: ReportInput, folder: str | PathLike[str] = "") -> Path:
    """Write report.html into the output folder.

    It has curves if a training run left history.csv there, and a table and pictures of the data set if there are
    dataset.json and dataset.jpg.

    Args:
        config (Config): the options of the run.
        report_input (ReportInput): what to report.
        folder (str | PathLike): the output folder, where it is not output_path.

    Returns:
        Path: the file.

    Raises:
        UNetError: history.csv or dataset.json cannot be read, or report.html cannot be written.
    """
    scores, gallery = report_input.scores, report_input.gallery
    output = Path(folder or config.output_path)
    curves = RunCurves(read_history(output / HISTORY_CSV))
    names = class_names(config, report_input.stored_names)
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=_number, data_uri=data_uri)
    evaluation = {"per_image": _per_image(scores), "confusion": Markup(confusion_svg(scores.confusion, names))
                  } if scores else {}
    page = environment.get_template("page.html").render(
        title=f"{config.model_name} on {config.dataset}" if scores else f"Data set {config.data_path}",
        evaluated=report_input, scores=scores, gallery=gallery, date=time.strftime("%Y-%m-%d %H:%M %Z"),
        metrics=HARD_METRICS, names=names, listed=range(len(names)) if len(names) <= MOST_CLASSES else [],
        colours={name: f"rgb{colour}" for name, colour in COLOURS.items()
                                          if name != "another class" or len(names) > 2},
        **evaluation, **_objects(scores),
        curves={title: Markup(svg) for title, svg in curve_svgs(curves).items()}, training=_training(curves),
        dataset=_dataset(output), class_colours=_class_colours(config, names),
        command=facts.command(report_input.script, config),
        changed=facts.changed_options(config), options=config.as_dict(), versions=facts.versions(),
        machine=facts.machine())
    write_atomically(output / REPORT_HTML, encodable(page).encode())
    logger.info("report: %s", output / REPORT_HTML)
    return output / REPORT_HTML


def _objects(scores: Scores | None) -> dict[str, Any]:
    """Return the table and the figures of objects; no rows without their scores."""
    objects = scores.objects if scores else None
    if not objects:
        return {"object_rows": []}
    rows = [(f"{title}, IoU {threshold:g}", values(threshold)) for threshold in REPORTED
            for title, values in (("mean over images", objects.mean), ("pooled", objects.pooled))]
    return {"object_rows": rows, "object_colours": {name: f"rgb{colour}" for name, colour in OBJECT_COLOURS.items()},
            "object_figures": {"Sizes of objects": Markup(sizes_svg(objects.areas)),
                               "Number of objects": Markup(counts_svg(objects.true, objects.predicted))}}


def _per_image(scores: Scores, most: int = 5) -> dict[str, Any]:
    """Return the columns and the tables of images: caption -> rows of (name, soft Dice, soft IoU, hard metrics).

    Of up to twice ``most`` images all are listed, of more only the worst and the best by soft Dice.
    """
    rows = sorted(zip(scores.names, scores.dice, scores.iou, *scores.hard_per_image.values()),
                  key=lambda row: -row[1])
    if len(rows) > 2 * most:
        tables = {f"The {most} worst of {len(rows)} images": rows[-most:][::-1],
                  f"The {most} best of {len(rows)} images": rows[:most]}
    else:
        tables = {"Each image, the best first": rows}
    return {"columns": ["soft Dice", "soft IoU", *scores.hard_per_image], "tables": tables}


def _training(curves: RunCurves) -> dict[str, Any] | None:
    """Sum up the training steps; return None if there are none."""
    last = curves.last
    return {"steps": last.step, "epochs": last.epoch, "loss": last.loss, "seconds": curves.seconds} if last else None


def _dataset(output: Path) -> dict[str, Any] | None:
    """Read rows of (property, training, validation), warnings and pictures of the data set; None without a check."""
    path = output / DATASET_JSON

    def made(content: Any) -> dict[str, Any]:
        parts = [content["training"], content["validation"]]
        rows = [(title, *(_text(part[key]) for part in parts)) for key, title in _DATASET_ROWS.items()
                if all(key in part for part in parts)]     # an older run has not found out all
        return {"rows": rows + _numbers(parts) + _shares(parts),
                "warnings": [*content.get("faults", [])[:MOST_ROWS], *content["warnings"]],
                "pictures": _jpeg(output / DATASET_JPG)}

    try:
        return read_json(path, made, "not the file that train.py writes", "; remove it")
    except MissingFile:
        return None


def _jpeg(path: Path) -> str:
    """Return a picture for the page; empty without one.

    Reports are handed on, so what is no JPEG file of this folder does not get into them: a link may lead to any file.
    """
    if path.is_symlink() or not path.is_file():
        return ""
    data = read_input(path)
    return jpeg_uri(data) if data.startswith(b"\xff\xd8\xff") else ""


MOST_ROWS = 10          # of channels, of classes and of faults
# Key in dataset.json -> title of the row.
_DATASET_ROWS = {"samples": "samples", "seen": "inspected", "sizes": "sizes (width x height)", "kinds": "stored as",
                 "masks_hold": "masks hold", "foreground_fraction": "foreground",
                 "masks_without_foreground": "masks without foreground",
                 "masks_of_one_class": "masks with only one class, not the background",
                 "masks_of_ignored_pixels": "masks with only ignored pixels",
                 "same_images": "images that occur more than once", "faults": "samples that cannot be used"}


def _numbers(parts: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return a row for each channel of the images: its smallest and largest number, and its percentiles."""
    found = [part.get("intensities", {}).get("channels", []) for part in parts]
    count = max(map(len, found))
    return [("numbers in the images" if count == 1 else f"numbers in channel {channel}",
             *(texts[channel] if channel < len(texts) else "-" for texts in found))
            for channel in range(min(count, MOST_ROWS))]


def _shares(parts: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return a row for each class: its share of the pixels that count."""
    if not all("classes" in part for part in parts):
        return []
    return [(f"pixels of {name}", *(f"{part['pixels_per_class'][number] / max(1, sum(part['pixels_per_class'])):.1%}"
                                    for part in parts))
            for number, name in enumerate(parts[0]["classes"][:MOST_ROWS])]


def _text(value: Any, most: int = 4) -> str:
    if isinstance(value, dict):
        shown = [f"{name} ({count})" for name, count in list(value.items())[:most]]
        return ", ".join(shown) + (f", {len(value) - most} others" if len(value) > most else "")
    if isinstance(value, list):
        return str(len(value))
    return f"{value:.1%}" if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "-" if value is None or np.isnan(value) else f"{value:.4f}"


def _class_colours(config: Config, names: list[str], most: int = 20) -> dict[str, str]:
    """Return name -> colour in the pictures, of the classes but 0."""
    colours = class_colours(config.color, config.num_classes)[:len(names)].tolist()
    return {name: f"rgb{tuple(colour)}" for name, colour in list(zip(names, colours))[1:most + 1]}
