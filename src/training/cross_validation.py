"""Cross-validation: trains and evaluates every fold in turn, each in processes of its own. Without MindSpore."""
import logging
from pathlib import Path
from typing import Any

from src.data.folds import create_folds
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import FOLDS_JSON, FOLDS_MD, METRICS_JSON, remove_leftovers
from src.model_utils.lock import FolderLock
from src.model_utils.signals import ChildProcess
from src.training.fold_results import NOTES, read_results, table, write_results
from src.training.fold_run import FoldRun

logger = logging.getLogger("unet")


def run_folds(config: Config) -> int:
    """Train and evaluate the folds that are not finished, and write the table of all folds.

    Args:
        config (Config): folds, the output folder, and the options of train.py and eval.py.

    Returns:
        int: exit status: 0, or that of the script that failed or was stopped.

    Raises:
        UNetError: options or data that do not allow folds, or a folder with folds of other options or samples.
    """
    _check(config)
    folds = create_folds(config)
    output, title = Path(config.output_path), f"{config.model_name} on {config.dataset}: {len(folds)} folds"
    with FolderLock(output):
        remove_leftovers(output)
        runs = [FoldRun(config, fold, len(folds)) for fold in folds]
        results = _finished(output, runs)
        with ChildProcess() as child:
            for run in runs:
                number = run.fold.number
                logger.info("============== Fold %d of %d ==============", number, len(folds))
                if number in results:
                    logger.info("finished before: %s", run.folder)
                    continue
                status = run.run(child)
                if status:
                    logger.info("fold %d of %d ended with status %d; the same command resumes there", number,
                                len(folds), status)
                    return status
                results[number] = run.result()
                write_results(output, title, results, len(folds))
        write_results(output, title, results, len(folds))
    logger.info("============== Folds ==============")
    for line in [*table(results, len(folds)), *NOTES]:
        logger.info("%s", line)
    logger.info("table: %s, %s", output / FOLDS_MD, output / FOLDS_JSON)
    return 0


def _finished(output: Path, runs: list[FoldRun]) -> dict[int, dict[str, Any]]:
    """Return the results of an earlier start, number -> result. A fold without its folder is trained again."""
    results, _ = read_results(output)
    for run in runs:
        run.check_same_options()
    return {run.fold.number: results[run.fold.number] for run in runs
            if run.fold.number in results and (run.folder / METRICS_JSON).is_file()}


def _check(config: Config) -> None:
    if config.resume:
        raise UNetError("resume is True, but train_folds.py resumes by itself where it was stopped; leave it out")
    if config.overwrite:
        raise UNetError("overwrite is True, but train_folds.py keeps the folds that are finished; remove "
                        f"{config.output_path}, or give another --output_path")
    if config.run_distribute:
        raise UNetError("run_distribute is True, but train_folds.py trains a fold in one process; train the folds one "
                        "by one with a launcher, --cross_valid_ind or --splits")
