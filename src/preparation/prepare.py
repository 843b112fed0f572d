"""Which tasks a data set needs."""
import logging
import time

from src.model_utils.errors import UNetError
from src.preparation.nuclei import nuclei_tasks
from src.preparation.work import carry_out

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


_TASKS = {
    "Cell_nuclei": lambda config: nuclei_tasks(config.data_path, config.save_path or config.data_path),
}


def create_tasks(config):
    """The tasks of the data set that the options name."""
    if config.dataset not in _TASKS:
        raise UNetError(f"dataset {config.dataset}: nothing to prepare; this script takes {', '.join(_TASKS)}")
    return _TASKS[config.dataset](config)
