"""Which tasks a data set needs."""
import logging
import time

from src.data.preparation.coco import coco_tasks
from src.data.preparation.isbi_slices import IMAGE_MASK, MEMBRANE, slice_tasks, stack_tasks
from src.data.preparation.nuclei import nuclei_tasks
from src.data.preparation.task_pool import carry_out
from src.model_utils.errors import UNetError

logger = logging.getLogger("unet")


def prepare(config, stopped=lambda: False):
    """Prepare the data set that the options name.

    Args:
        config (Config): dataset, data_path, save_path and to_stack count, and for COCO those of its own.
        stopped (Callable): when it says True, the items at work are finished and no others begun.

    Returns:
        int: how many items are bad; each has been named.

    Raises:
        UNetError: the options do not go together, or the raw data are not there.
    """
    start = time.perf_counter()
    tasks = create_tasks(config)
    tally = carry_out(tasks, stopped=stopped)
    logger.info("%s: %d items: %d made (of %d parts), %d kept, %d bad; %.1f s", config.dataset, len(tasks), tally.made,
                tally.parts, tally.kept, len(tally.bad), time.perf_counter() - start)
    logger.info("they are in %s", config.save_path or config.data_path)
    if tally.left:
        logger.info("stopped with %d items left; the same command goes on with them", tally.left)
    return len(tally.bad)


def create_tasks(config):
    """The tasks of the data set that the options name."""
    if config.dataset not in _TASKS:
        raise UNetError(f"dataset {config.dataset}: nothing to prepare; this script takes {', '.join(_TASKS)}")
    if config.to_stack and config.dataset not in _SLICES:
        raise UNetError(f"to_stack: {config.dataset} has no stacks; it goes with {', '.join(_SLICES)}")
    return _TASKS[config.dataset](config)


def _nuclei(config):
    return nuclei_tasks(config.data_path, config.save_path or config.data_path)


def _slices(config):
    make = stack_tasks if config.to_stack else slice_tasks
    return make(config.data_path, config.save_path or config.data_path, _SLICES[config.dataset])


_SLICES = {"ISBI": IMAGE_MASK, "image_mask": IMAGE_MASK, "membrane": MEMBRANE}
_TASKS = {"Cell_nuclei": _nuclei, "COCO": coco_tasks, **dict.fromkeys(_SLICES, _slices)}
