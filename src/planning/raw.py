"""Raw data that are prepared before a training: nuclei with a mask for each object, and COCO."""
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from src.data.image_formats import is_image
from src.data.preparation.coco_annotations import read_annotations
from src.data.preparation.prepare import create_tasks
from src.data.preparation.task_pool import run_tasks
from src.model_utils.config import Config
from src.model_utils.errors import UNetError, first_few
from src.model_utils.inputs import file_status
from src.planning.choices import Choice
from src.planning.inspection import MOST_IMAGES, spread
from src.planning.layouts import COCO, NUCLEI, Layout

logger = logging.getLogger("unet")

LEAST_PHOTOGRAPHS = 5   # with a category, for a class of its own


class Stopped(Exception):
    """The user has stopped the preparation."""


def prepared_folder(config: Config, layout: Layout, root: Path) -> Path:
    """Return the folder for the prepared data: one of these data only, in save_path or else in the output folder.

    Raises:
        UNetError: a file is gone.
    """
    # Other files, or changed ones of the same names, are other data.
    files = [(str(path), status.st_size, status.st_mtime_ns)
             for path in sorted(_raw_files(config, layout.raw, root.resolve())) for status in [file_status(path)]]
    options = repr((files, config.coco_classes, config.coco_draw_order))
    return Path(config.save_path or config.output_path, f"prepared_{hashlib.sha256(options.encode()).hexdigest()[:8]}")


def _raw_files(config: Config, raw: str, root: Path) -> Iterator[Path]:
    if raw == NUCLEI:
        for folder in ("images", "masks"):
            yield from root.glob(f"*/{folder}/*.png")
        return
    sources = [(config.anno_json, config.coco_dir), (config.val_anno_json, config.val_coco_dir)]
    for annotations, folder in sources[:1 + (config.split == 1.0)]:
        yield Path(annotations).resolve()
        yield from filter(is_image, Path(folder).resolve().glob("*"))


def coco_classes(layout: Layout, given: Mapping[str, Any]) -> Choice:
    """Choose the classes of photographs: the categories that enough of them show.

    Raises:
        UNetError: see ``read_annotations``.
    """
    if "coco_classes" in given:
        return Choice({"num_classes": len(given["coco_classes"])}, "coco_classes names them")
    file = read_annotations(layout.options["anno_json"])
    photographs = Counter(category for photograph in file.photographs
                          for category in {instance.category for instance in photograph.instances})
    shown = [category for category in file.categories if photographs[category]]
    enough = [category for category in shown if photographs[category] >= LEAST_PHOTOGRAPHS] or shown
    names = ["background", *(file.categories[category] for category in enough)]
    kept = set(enough)
    left = [file.categories[category] for category in shown if category not in kept]
    because = f"{len(enough)} of the {len(file.categories)} categories are in at least {LEAST_PHOTOGRAPHS} of the " \
              f"{len(file.photographs)} photographs for training"
    if left:
        because += f"; pixels of the others are background: {first_few(left, 4)}"
    return Choice({"coco_classes": names, "num_classes": len(names)}, because)


def prepare_raw(config: Config, layout: Layout, root: Path, target: Path, only_some: bool,
                stopped: Callable[[], object]) -> int:
    """Prepare raw data in ``target``; files that are there already are kept.

    Args:
        config: the options, with those of the layout, and with coco_classes and num_classes for COCO.
        layout: what the raw data are.
        root: their folder.
        target: folder for the results.
        only_some: prepare only as many as are looked at.
        stopped: once it returns a true value, no further file is made.

    Returns:
        int: number of images that the data set has.

    Raises:
        UNetError: nothing can be prepared, or files cannot be written.
        Stopped: ``stopped`` returned a true value.
    """
    tasks = create_tasks(config.replace(dataset="Cell_nuclei" if layout.raw == NUCLEI else COCO, data_path=str(root),
                                        save_path=str(target)))
    without = {PurePosixPath(path).stem for path in layout.without_mask}
    tasks = [task for task in tasks if task.outputs[0].parent.name not in without]
    count = len(tasks)
    if only_some:
        tasks = [tasks[number] for number in spread(count, MOST_IMAGES)]
    else:
        logger.info("preparing %d images in %s", count, target)
    counts = run_tasks(tasks, stopped=stopped)
    if counts.left:
        raise Stopped
    if len(counts.bad) == len(tasks):
        raise UNetError(f"{root}: none of the {len(tasks)} images can be prepared: {counts.bad[0]}")
    if counts.bad:
        logger.warning("WARNING: %d of %d images cannot be prepared and are left out: %s", len(counts.bad), len(tasks),
                       first_few(counts.bad, 3))
    return count
