"""report.html: a page about an evaluation and the run behind it, one file that needs nothing else."""
import base64
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from src.evaluation.metrics import HARD_METRICS
from src.model_utils.errors import UNetError
from src.model_utils.files import DATASET_JSON, HISTORY_CSV, REPORT_HTML, write_atomically
from src.report import facts
from src.report.figures import confusion_svg, curve_svgs
from src.report.gallery import COLOURS, jpeg_bytes
from src.report.history import STEP, read_history

logger = logging.getLogger("unet")

MOST_CLASSES = 100      # that the table lists one by one


@dataclass(frozen=True)
class Subject:
    """What a report is about.

    Attributes:
        script: train.py, eval.py or infer_unet_onnx.py.
        model: file that was evaluated, and of which step, as text.
        device: where it ran.
        scores: ``Scores`` of the evaluation.
        gallery: its ``Gallery``.
    """
    script: str
    model: str
    device: str
    scores: object
    gallery: object


def write_report(config, subject):
    """Write report.html into the output folder, with the curves and the data set's table where a run left them there.

    Args:
        config (Config): the options of the run.
        subject (Subject): what was evaluated.

    Returns:
        Path: the file.
    """
    output = Path(config.output_path)
    rows = read_history(output / HISTORY_CSV)
    names = class_names(config)
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=_number, data_uri=_data_uri)
    page = environment.get_template("page.html").render(
        title=f"{config.model_name} on {config.dataset}", subject=subject, scores=subject.scores,
        date=time.strftime("%Y-%m-%d %H:%M %Z"), metrics=HARD_METRICS, names=names,
        listed=range(len(names)) if len(names) <= MOST_CLASSES else [], per_image=_per_image(subject.scores),
        gallery=subject.gallery, colours={name: f"rgb{colour}" for name, colour in COLOURS.items()
                                          if name != "another class" or len(names) > 2},
        confusion=Markup(confusion_svg(subject.scores.confusion, names)),
        curves={title: Markup(svg) for title, svg in curve_svgs(rows).items()}, training=_training(rows),
        dataset=_dataset(output / DATASET_JSON), command=facts.command(subject.script, config),
        changed=facts.changed_options(config), options=config.as_dict(), versions=facts.versions(),
        machine=facts.machine())
    write_atomically(output / REPORT_HTML, page.encode())
    logger.info("report: %s", output / REPORT_HTML)
    return output / REPORT_HTML


def class_names(config):
    """A name for each class: those of coco_classes where there are as many, else numbers."""
    if len(config.coco_classes) == config.num_classes:
        return list(config.coco_classes)
    return [f"class {number}" for number in range(config.num_classes)]


def _per_image(scores, most=5):
    """Tables of images by soft Dice: caption -> rows of (name, soft Dice, soft IoU, hard metrics).

    The worst and the best of many images, all of few.
    """
    rows = sorted(zip(scores.names, scores.dice, scores.iou, *scores.hard_per_image.values()),
                  key=lambda row: -row[1])
    if len(rows) > 2 * most:
        tables = {f"The {most} worst of {len(rows)} images": rows[-most:][::-1],
                  f"The {most} best of {len(rows)} images": rows[:most]}
    else:
        tables = {"Each image, the best first": rows}
    return {"columns": ["soft Dice", "soft IoU", *scores.hard_per_image], "tables": tables}


def _training(rows):
    """What the rows of the steps tell of the training; None without them."""
    steps = [row for row in rows if row.kind == STEP]
    if not steps:
        return None
    return {"steps": steps[-1].step, "epochs": steps[-1].epoch, "loss": steps[-1].loss,
            "seconds": sum(row.seconds for row in steps)}


def _dataset(path):
    """The table of the data set: rows of (what, training, validation), and the warnings; None where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        parts = [found["training"], found["validation"]]
        rows = [(words, *(_text(part[key]) for part in parts)) for key, words in _DATASET.items()]
        return {"rows": rows, "warnings": found["warnings"]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UNetError(f"{path}: not the file that a run writes ({error}); remove it") from None


_DATASET = {"samples": "samples", "seen": "looked at", "sizes": "sizes (width x height)", "kinds": "stored as",
            "foreground_fraction": "foreground", "masks_without_foreground": "masks without foreground",
            "masks_of_one_class": "masks of one other class", "same_images": "images there more than once"}


def _text(value, most=4):
    if isinstance(value, dict):
        shown = [f"{name} ({count})" for name, count in list(value.items())[:most]]
        return ", ".join(shown) + (f", {len(value) - most} others" if len(value) > most else "")
    if isinstance(value, list):
        return str(len(value))
    return f"{value:.1%}" if isinstance(value, float) else str(value)


def _number(value):
    return "-" if value is None else f"{value:.4f}"


def _data_uri(pixels):
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(pixels)).decode()
