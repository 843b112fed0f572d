"""Prepares the data set that the options name."""
import logging
import time
from collections.abc import Callable
from pathlib import Path

from src.data.class_values import CLASSES_FILE
from src.data.preparation.coco import Annotations, Drawing, coco_tasks
from src.data.preparation.isbi_slices import IMAGE_MASK, MEMBRANE, slice_tasks, stack_tasks
from src.data.preparation.nuclei import nuclei_tasks
from src.data.preparation.task_pool import Task, run_tasks
from src.model_utils.config import Config
from src.model_utils.errors import UNetError

logger = logging.getLogger("unet")


def prepare(config: Config, stopped: Callable[[], object] = lambda: False) -> int:
    """Prepare the data set that the options name.

    Args:
        config (Config): dataset, data_path, save_path and to_stack, and for COCO its own options.
        stopped (Callable): once it returns a true value, running items are finished and no others are begun.

    Returns:
        int: number of bad items; each has been named.

    Raises:
        UNetError: options that contradict each other, or no raw data.
    """
    start = time.perf_counter()
    tasks = create_tasks(config)
    counts = run_tasks(tasks, stopped=stopped)
    logger.info("%s: %d items: %d made (of %d parts), %d kept, %d bad; %.1f s", config.dataset, len(tasks), counts.made,
                counts.parts, counts.kept, len(counts.bad), time.perf_counter() - start)
    logger.info("they are in %s", config.save_path or config.data_path)
    if counts.left:
        logger.info("stopped with %d items left; run the same command again for them", counts.left)
    return len(counts.bad)


def create_tasks(config: Config) -> list[Task]:
    """Make the tasks of the data set that the options name.

    Raises:
        UNetError: see ``prepare``.
    """
    if config.dataset not in _TASKS:
        raise UNetError(f"dataset {config.dataset}: nothing to prepare; expected {', '.join(_TASKS)}")
    if config.to_stack and config.dataset not in _SLICES:
        raise UNetError(f"to_stack: {config.dataset} has no stacks; expected {', '.join(_SLICES)}")
    return _TASKS[config.dataset](config)


def _nuclei(config: Config) -> list[Task]:
    return nuclei_tasks(config.data_path, config.save_path or config.data_path)


def _coco(config: Config) -> list[Task]:
    if len(config.coco_classes) != config.num_classes:
        raise UNetError(f"coco_classes names {len(config.coco_classes)} classes, num_classes is {config.num_classes}; "
                        f"both count the background, which comes first")
    target = Path(config.save_path or config.data_path)
    annotations = Annotations(config.anno_json, config.coco_dir)
    folders = {target: annotations}
    if config.split == 1.0:
        folders = {target / "train": annotations,
                   target / "val": Annotations(config.val_anno_json, config.val_coco_dir, "val_")}
    return coco_tasks(folders, target / CLASSES_FILE,
                      Drawing(config.coco_classes, config.coco_draw_order == "area"))


def _slices(config: Config) -> list[Task]:
    make = stack_tasks if config.to_stack else slice_tasks
    return make(config.data_path, config.save_path or config.data_path, _SLICES[config.dataset])


_SLICES = {"ISBI": IMAGE_MASK, "image_mask": IMAGE_MASK, "membrane": MEMBRANE}
_TASKS = {"Cell_nuclei": _nuclei, "COCO": _coco, **dict.fromkeys(_SLICES, _slices)}
