"""The output folder of a run: which folder it is, and how a run takes over that of another one."""
import json
import logging
import os
import time
from itertools import count, takewhile
from pathlib import Path

from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import (
    CLASS_COUNTS_JSON,
    CONFIG_YAML,
    DATASET_JPG,
    DATASET_JSON,
    DRAW_EVAL,
    HISTORY_CSV,
    METRICS_JSON,
    PROFILE,
    PROGRESS_PNG,
    REPORT_HTML,
    RUN_JSON,
    SPLITS_JSON,
    TENSORBOARD,
    remove,
    replace_folder,
    temporary_path,
    write_atomically,
)
from src.model_utils.inputs import MissingFile, WrongContent, read_json
from src.model_utils.ranks import Ranks
from src.training.checkpoint_files import UNNAMED, checkpoint_folder, checkpoint_root, find_checkpoints

logger = logging.getLogger("unet")

# What a run, and the evaluation of its checkpoints, write beside the checkpoints; the name of the run last.
RECORDS = (CONFIG_YAML, SPLITS_JSON, DATASET_JSON, DATASET_JPG, CLASS_COUNTS_JSON, HISTORY_CSV, PROGRESS_PNG,
           REPORT_HTML, METRICS_JSON, DRAW_EVAL, TENSORBOARD, RUN_JSON)
# Stands for checkpoints that belong to no run of this project.
OTHER_PROGRAM = "other program"


class RunFolder(os.PathLike[str]):
    """The folder of a run's records, as a path: ``output_path``.

    A run that replaces another one keeps its records in a hidden folder inside, until it has its first checkpoint.
    Then ``take_over`` removes the other run, and the path changes. So ask for it each time a record is written.

    Args:
        config (Config): uses output_path and checkpoint_path.
        run (str): name of the run.
        replaces (bool): whether the folder holds another run, which this one replaces.
        rank (int): rank of this process; only rank 0 writes records.
    """

    def __init__(self, config: Config, run: str, replaces: bool = False, rank: int = 0) -> None:
        self.output = Path(config.output_path)
        self.checkpoints = checkpoint_root(self.output, config.checkpoint_path)
        self.run, self.rank = run, rank
        self._hidden = temporary_path(self.output / "run") if replaces else None
        # A profile is not a record: MindSpore keeps its path.
        self._old_profiles = list((self.output / PROFILE).glob("*/*")) if replaces else []

    def __fspath__(self) -> str:
        return str(self._hidden or self.output)

    def write_name(self, source: Path | None) -> None:
        """Write the name of the run, when it began, and the checkpoint that it began with."""
        if read_name(self.output) != self.run or self._hidden:
            about = {"run": self.run, "begun": time.strftime("%Y-%m-%d %H:%M:%S"), "from": source and str(source)}
            write_atomically(Path(self) / RUN_JSON, json.dumps(about).encode())

    def forget_name(self) -> None:
        """Leave the folder free for another run. Call it for a run that ends before its first step."""
        if self.rank == 0:
            remove(Path(self) / RUN_JSON)

    def take_over(self) -> None:
        """Remove the run that this one replaces, if it has not been done. Call it when a checkpoint has been saved.

        Raises:
            UNetError: a file of the other run cannot be removed.
        """
        if self._hidden is None:
            return
        try:
            if self.rank == 0:
                self._replace_records(self._hidden)
            self._remove_checkpoints()
        except OSError as error:
            raise UNetError(f"cannot replace the run in {self.output}: {error}") from None
        self._hidden = None

    def _remove_checkpoints(self) -> None:
        folders = self.checkpoints.glob("ckpt_*") if self.rank == 0 else [self.checkpoints / f"ckpt_{self.rank}"]
        for found in [found for folder in folders for found in find_checkpoints(folder)]:
            if found.run != self.run:
                remove(found.path)

    def _replace_records(self, hidden: Path) -> None:
        for path in [*self._old_profiles, *(self.output / name for name in RECORDS)]:
            new = hidden / path.name
            if not new.exists():
                remove(path)
            elif path.is_dir():
                replace_folder(new, path)
            else:
                os.replace(new, path)
        remove(hidden)
        logger.info("the run that was in %s before is replaced", self.output)

    def close(self) -> None:
        """Remove the records of a run that never had a checkpoint, and so replaced nothing."""
        if self._hidden is not None:
            remove(self._hidden)

    def check(self) -> None:
        """Raise UNetError if another run has begun in the folder since it was chosen."""
        if not self._hidden and not runs_in(self.output, self.checkpoints) <= {self.run, None}:
            raise UNetError(f"another run has begun in {self.output} meanwhile; start this one again")


def saving_folder(config: Config, rank: int) -> Path:
    """Return the folder of the checkpoints of a rank, which is rank 0's if only that one saves."""
    return checkpoint_folder(config.output_path, config.checkpoint_path, 0 if config.is_save_on_master else rank)


def read_name(output: str | Path) -> str | None:
    """Return the name of the run whose folder it is, or None if the folder does not say."""
    try:
        return read_json(Path(output) / RUN_JSON, lambda content: str(content["run"]))
    except (MissingFile, WrongContent):
        return None


def runs_in(output: Path, checkpoints: Path) -> set[str | None]:
    """Return the names of the runs that a folder holds; None among them stands for damaged checkpoints."""
    runs = {OTHER_PROGRAM if one.run is None and not one.is_damaged else one.run
            for folder in checkpoints.glob("ckpt_*") for one in find_checkpoints(folder)}
    name = read_name(output)
    if name is None and (output / HISTORY_CSV).exists():
        name = UNNAMED
    return runs if name is None else runs | {name}


def choose_folder(config: Config, run: str | None, ranks: Ranks, saves: bool) -> tuple[Config, bool]:
    """Choose the output folder of a run, on all ranks the same.

    A folder that holds another run stays as it is, and the run goes to the next free one beside it.

    Args:
        config (Config): uses output_path, checkpoint_path, overwrite and enable_modelarts.
        run (str): name of the run that is resumed; None for one that begins.
        ranks (Ranks): the ranks that train together.
        saves (bool): whether this rank writes into the folder.

    Returns:
        tuple: the Config with the folder, and whether the run replaces another one there.
    """
    if config.overwrite:
        return config, saves and not _is_free(config, run)
    number = 1
    while (wanted := int(ranks.values(_next_free(config, run, number) if saves else number).max())) != number:
        number = wanted
    chosen = numbered(config, number)
    if number > 1:
        logger.info("%s holds another run, which stays as it is; this one goes to %s (--overwrite=True replaces the "
                    "other, --resume=True --resume_ckpt=auto resumes it)", config.output_path, chosen.output_path)
    return chosen, False


def later_runs(config: Config) -> list[str]:
    """Return the numbered folders beside output_path that hold runs."""
    folders = takewhile(lambda other: not _is_free(other, None), (numbered(config, number) for number in count(2)))
    return [other.output_path for other in folders]


def _next_free(config: Config, run: str | None, number: int) -> int:
    while not _is_free(numbered(config, number), run):
        number += 1
    return number


def _is_free(config: Config, run: str | None) -> bool:
    """Return whether the output folder holds no other run than ``run``."""
    runs = runs_in(Path(config.output_path), checkpoint_root(config.output_path, config.checkpoint_path))
    return runs <= {run, None} if run is not None else not runs


def numbered(config: Config, number: int) -> Config:
    """Return the Config with the ``number``-th folder beside output_path; the first is output_path itself."""
    if number == 1:
        return config
    output = Path(config.output_path)
    # ModelArts copies only what is inside output_path.
    return config.replace(output_path=str(output / f"run_{number}") if config.enable_modelarts
                          else _with_number(output, number))


def _with_number(path: Path, number: int) -> str:
    path = path if path.name not in ("", "..") else path.resolve()
    return str(path.with_name(f"{path.name}_{number}"))
