"""The training and evaluation of one fold, each in a process of its own. Without MindSpore."""
import logging
import sys
from pathlib import Path
from typing import Any

from src.data.folds import Fold
from src.data.normalization import AUTO
from src.data.splits import read_splits, write_splits
from src.model_utils.config import Config
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import CONFIG_YAML, METRICS_JSON, SPLITS_JSON, remove
from src.model_utils.schema import PROJECT_ROOT, load_schema, options_that_stay, read_yaml
from src.model_utils.signals import ChildProcess
from src.training.checkpoint_files import checkpoint_folder, final_checkpoint
from src.training.fold_results import fold_checkpoint, fold_folder, read_result
from src.training.run_folder import runs_in
from src.training.run_length import FIXED_BY_MINUTES

logger = logging.getLogger("unet")


class FoldRun:
    """One fold, from its samples to its scores.

    Args:
        config (Config): the options of train_folds.py.
        fold (Fold): number and samples.
        folds (int): number of all folds.

    Raises:
        UNetError: checkpoint_path leads out of the folder of the fold.
    """

    def __init__(self, config: Config, fold: Fold, folds: int) -> None:
        self.fold = fold
        self.folder = fold_folder(config.output_path, fold.number)
        options: dict[str, Any] = fold.options or {"splits": str(self.folder / SPLITS_JSON)}
        # train_folds.py has copied the data already, so the processes of the folds do not copy them again.
        self.config = config.replace(output_path=str(self.folder), folds=folds, enable_modelarts=False, data_url="",
                                     **options)
        self.checkpoints = checkpoint_folder(self.folder, config.checkpoint_path)

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint to evaluate; None before there is one."""
        return final_checkpoint(self.checkpoints, self.config.model_name)

    def check_same_options(self) -> None:
        """Raise UNetError if an earlier start trained this fold with other options, or on other samples."""
        if not any(self.folder.glob("**/*.ckpt")) and not (self.folder / METRICS_JSON).is_file():
            return      # nothing is left of an earlier start
        if (self.folder / CONFIG_YAML).is_file():
            begun, now = read_yaml(self.folder / CONFIG_YAML, load_schema()), self.config.as_dict()
            # The path of splits changes with the folder; the names of the samples are compared below.
            # What the option auto became is that of the data.
            free = {"splits", *(FIXED_BY_MINUTES if self.config.minutes else ()),
                    *(["normalize"] if self.config.normalize == AUTO else [])}
            changed = [f"{name} {begun[name]} and not {now[name]}" for name in options_that_stay("same", "folds")
                       if name not in free and begun.get(name, now[name]) != now[name]]
            if changed:
                raise UNetError(f"{self.folder / CONFIG_YAML}: this fold was begun with {first_few(changed)}; give the "
                                f"same options to resume it, or another --output_path")
        if (self.folder / SPLITS_JSON).is_file():
            train, validation = read_splits(self.folder / SPLITS_JSON)
            if set(train) != set(self.fold.train) or set(validation) != set(self.fold.validation):
                raise UNetError(f"{self.folder / SPLITS_JSON}: this fold was begun on other samples than "
                                f"{self.config.data_path} gives now; give the same data to resume it, or another "
                                f"--output_path")

    def run(self, child: ChildProcess) -> int:
        """Train the fold, or resume its training, and evaluate it; return the exit status of what failed, or 0."""
        logger.info("%d images train, %d validate: %s", len(self.fold.train), len(self.fold.validation),
                    first_few(self.fold.validation, 6))
        options = [f"--config_path={self.folder / CONFIG_YAML}", *self.config.start_arguments()]
        begun = []
        if self.checkpoint:
            begun = ["--transfer_training=False", "--resume=True", "--resume_ckpt=auto"]
        elif runs_in(self.folder, self.checkpoints.parent):
            begun = ["--overwrite=True"]        # it was stopped before its first checkpoint
        self.config.save(self.folder / CONFIG_YAML, with_start=False)
        write_splits(self.folder / SPLITS_JSON, self.fold.train, self.fold.validation)
        # eval.py ends with 0 even if it cannot write its own, and an older one would be taken for it.
        remove(self.folder / METRICS_JSON)
        return (child.run([sys.executable, str(PROJECT_ROOT / "train.py"), *options, *begun])
                or child.run([sys.executable, str(PROJECT_ROOT / "eval.py"), *options, "--report=True",
                              f"--checkpoint_file_path={self.checkpoint}"]))

    def result(self) -> dict[str, Any]:
        """Return the result of the fold, in the form of folds.json."""
        checkpoint = fold_checkpoint(self.folder, self.config.checkpoint_path, self.config.model_name)
        return read_result(self.fold, self.folder, checkpoint)
