"""report.html: one self-contained file about an evaluation and the run that it belongs to."""
import base64
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from src.evaluation.metrics import HARD_METRICS
from src.evaluation.scores import Scores
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import DATASET_JSON, HISTORY_CSV, REPORT_HTML, write_atomically
from src.report import facts
from src.report.figures import confusion_svg, curve_svgs
from src.report.gallery import COLOURS, Gallery, jpeg_bytes
from src.report.history import STEP, Row, read_history

logger = logging.getLogger("unet")

MOST_CLASSES = 100      # with more classes, the table lists none of them


@dataclass(frozen=True)
class ReportInput:
    """An evaluation to report.

    Attributes:
        script: name of the script that evaluated, such as eval.py.
        model: the file that was evaluated, or the step of the run, as text.
        device: device on which the network ran.
        scores: scores of the evaluation.
        gallery: images of the evaluation.
    """
    script: str
    model: str
    device: str
    scores: Scores
    gallery: Gallery


def write_report(config: Config, report_input: ReportInput) -> Path:
    """Write report.html into the output folder.

    It has curves if a training run left history.csv there, and a table of the data set if there is a dataset.json.

    Args:
        config (Config): the options of the run.
        report_input (ReportInput): the evaluation.

    Returns:
        Path: the file.

    Raises:
        UNetError: history.csv or dataset.json cannot be read, or report.html cannot be written.
    """
    scores, gallery = report_input.scores, report_input.gallery
    output = Path(config.output_path)
    rows = read_history(output / HISTORY_CSV)
    names = class_names(config)
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=_number, data_uri=_data_uri)
    page = environment.get_template("page.html").render(
        title=f"{config.model_name} on {config.dataset}", evaluated=report_input, scores=scores, gallery=gallery,
        date=time.strftime("%Y-%m-%d %H:%M %Z"), metrics=HARD_METRICS, names=names,
        listed=range(len(names)) if len(names) <= MOST_CLASSES else [], per_image=_per_image(scores),
        colours={name: f"rgb{colour}" for name, colour in COLOURS.items()
                                          if name != "another class" or len(names) > 2},
        confusion=Markup(confusion_svg(scores.confusion, names)),
        curves={title: Markup(svg) for title, svg in curve_svgs(rows).items()}, training=_training(rows),
        dataset=_dataset(output / DATASET_JSON), command=facts.command(report_input.script, config),
        changed=facts.changed_options(config), options=config.as_dict(), versions=facts.versions(),
        machine=facts.machine())
    write_atomically(output / REPORT_HTML, page.encode())
    logger.info("report: %s", output / REPORT_HTML)
    return output / REPORT_HTML


def class_names(config: Config) -> list[str]:
    """Return a name for each class: coco_classes if their number fits, else "class 0", "class 1", ..."""
    if len(config.coco_classes) == config.num_classes:
        return list(config.coco_classes)
    return [f"class {number}" for number in range(config.num_classes)]


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


def _training(rows: list[Row]) -> dict[str, Any] | None:
    """Sum up the rows of the training steps; return None if there are none."""
    steps = [row for row in rows if row.kind == STEP]
    if not steps:
        return None
    return {"steps": steps[-1].step, "epochs": steps[-1].epoch, "loss": steps[-1].loss,
            "seconds": sum(row.seconds or 0 for row in steps)}


def _dataset(path: Path) -> dict[str, Any] | None:
    """Read rows of (property, training, validation) and warnings from dataset.json; return None without that file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts = [content["training"], content["validation"]]
        rows = [(title, *(_text(part[key]) for part in parts)) for key, title in _DATASET_ROWS.items()]
        return {"rows": rows, "warnings": content["warnings"]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UNetError(f"{path}: not the file that train.py writes ({error}); remove it") from None


# Key in dataset.json -> title of the row.
_DATASET_ROWS = {"samples": "samples", "seen": "inspected", "sizes": "sizes (width x height)", "kinds": "stored as",
                 "foreground_fraction": "foreground", "masks_without_foreground": "masks without foreground",
                 "masks_of_one_class": "masks with only one class, not the background",
                 "same_images": "images that occur more than once"}


def _text(value: Any, most: int = 4) -> str:
    if isinstance(value, dict):
        shown = [f"{name} ({count})" for name, count in list(value.items())[:most]]
        return ", ".join(shown) + (f", {len(value) - most} others" if len(value) > most else "")
    if isinstance(value, list):
        return str(len(value))
    return f"{value:.1%}" if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _data_uri(pixels: np.ndarray) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(pixels)).decode()
