"""Cross-validation: trains and evaluates every fold in turn, each in processes of its own. Without MindSpore."""
import logging
import sys
from pathlib import Path

from src.data.folds import create_folds
from src.data.splits import read_splits, write_splits
from src.model_utils.config import PROJECT_ROOT, load_schema, options_to_resume_with, read_yaml
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import CONFIG_YAML, FOLDS_JSON, FOLDS_MD, METRICS_JSON, SPLITS_JSON, remove_leftovers
from src.model_utils.lock import FolderLock
from src.model_utils.signals import ChildProcess
from src.training.checkpoint_files import checkpoint_folder, final_checkpoint
from src.training.fold_results import NOTES, fold_folder, read_result, read_results, table, write_results

logger = logging.getLogger("unet")

def run_folds(config):
    """Train and evaluate the folds that are not finished, and write the table of all.

    Args:
        config (Config): folds, the output folder, and what train.py and eval.py take.

    Returns:
        int: exit status: 0, or that of the script that failed or was stopped.

    Raises:
        UNetError: options or data that folds cannot be made of, or a folder that holds folds of another kind.
    """
    _check(config)
    folds = create_folds(config)
    output, title = Path(config.output_path), f"{config.model_name} on {config.dataset}: {len(folds)} folds"
    with FolderLock(output):
        remove_leftovers(output)
        works = [_Work(config, fold, len(folds)) for fold in folds]
        results = _finished(output, works)
        with ChildProcess() as child:
            for work in works:
                number = work.fold.number
                logger.info("============== Fold %d of %d ==============", number, len(folds))
                if number in results:
                    logger.info("finished before: %s", work.folder)
                    continue
                status = work.run(child)
                if status:
                    logger.info("fold %d of %d ended with status %d; the same command goes on there", number,
                                len(folds), status)
                    return status
                results[number] = work.result()
                write_results(output, title, results, len(folds))
        write_results(output, title, results, len(folds))
    logger.info("============== Folds ==============")
    for line in [*table(results, len(folds)), *NOTES]:
        logger.info("%s", line)
    logger.info("table: %s, %s", output / FOLDS_MD, output / FOLDS_JSON)
    return 0


def _finished(output, works):
    """The results that an earlier start has left: number -> result. Without its folder a fold is trained again."""
    results, _ = read_results(output)
    for work in works:
        work.check_as_before()
    return {work.fold.number: results[work.fold.number] for work in works
            if work.fold.number in results and (work.folder / METRICS_JSON).is_file()}


def _check(config):
    if config.resume:
        raise UNetError("resume is True, but train_folds.py goes on by itself where it was stopped; leave it out")
    if config.run_distribute:
        raise UNetError("run_distribute is True, but train_folds.py trains a fold in one process; train the folds one "
                        "by one with a launcher, --cross_valid_ind or --splits")


class _Work:
    """One fold, from its samples to its scores.

    Args:
        config (Config): the options of the run of folds.
        fold (Fold): number and samples.
        folds (int): how many there are.
    """

    def __init__(self, config, fold, folds):
        self.fold = fold
        self.folder = fold_folder(config.output_path, fold.number)
        options = fold.options or {"splits": str(self.folder / SPLITS_JSON)}
        # Data are where they are by now; the processes of the folds do not copy them once more.
        self.config = config.replace(output_path=str(self.folder), folds=folds, enable_modelarts=False, data_url="",
                                     **options)
        self.checkpoints = checkpoint_folder(self.config)
        if not self.checkpoints.resolve().is_relative_to(self.folder.resolve()):
            raise UNetError(f"checkpoint_path {config.checkpoint_path} leads out of the folds' folders, where they "
                            f"would overwrite each other's checkpoints; give a path inside output_path")

    @property
    def checkpoint(self):
        return final_checkpoint(self.checkpoints, self.config.model_name)

    def check_as_before(self):
        """Raise UNetError where the fold was begun with other options, or on other samples."""
        if not any(self.folder.glob("**/*.ckpt")) and not (self.folder / METRICS_JSON).is_file():
            return      # nothing of it is kept
        if (self.folder / CONFIG_YAML).is_file():
            begun, now = read_yaml(self.folder / CONFIG_YAML, load_schema()), self.config.as_dict()
            # Of other samples, the names below tell; the path of splits changes with the folder.
            changed = [f"{name} {begun[name]} and not {now[name]}" for name in options_to_resume_with()
                       if name != "splits" and begun.get(name, now[name]) != now[name]]
            if changed:
                raise UNetError(f"{self.folder / CONFIG_YAML}: this fold was begun with {first_few(changed)}; give the "
                                f"same options to go on, or another --output_path")
        if (self.folder / SPLITS_JSON).is_file():
            train, validation = read_splits(self.folder / SPLITS_JSON)
            if set(train) != set(self.fold.train) or set(validation) != set(self.fold.validation):
                raise UNetError(f"{self.folder / SPLITS_JSON}: this fold was begun on other samples than "
                                f"{self.config.data_path} gives now; give the same data to go on, or another "
                                f"--output_path")

    def run(self, child):
        """Train, or go on training, and evaluate; returns the exit status of what failed, or 0."""
        logger.info("%d images train, %d validate: %s", len(self.fold.train), len(self.fold.validation),
                    first_few(self.fold.validation, 6))
        config_path = f"--config_path={self.folder / CONFIG_YAML}"
        going_on = ["--transfer_training=False", "--resume=True", "--resume_ckpt=auto"] if self.checkpoint else []
        self.config.save(self.folder / CONFIG_YAML)
        write_splits(self.folder / SPLITS_JSON, self.fold.train, self.fold.validation)
        return (child.run([sys.executable, str(PROJECT_ROOT / "train.py"), config_path, *going_on])
                or child.run([sys.executable, str(PROJECT_ROOT / "eval.py"), config_path, "--report=True",
                              f"--checkpoint_file_path={self.checkpoint}"]))

    def result(self):
        """What folds.json says of the fold."""
        return read_result(self.fold, self.folder, self.checkpoint)
