"""What a run begins with: fresh weights, those of another run, or the state of a run that was stopped."""
import logging
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.data import input_options
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import CONFIG_YAML, HISTORY_CSV, replacing
from src.model_utils.inputs import WRONG_CONTENT
from src.model_utils.lock import FolderLock
from src.model_utils.ranks import Ranks
from src.model_utils.runtime import Runtime
from src.model_utils.schema import load_schema, read_yaml
from src.training import checkpoint
from src.training.callbacks.evaluation import Evaluator
from src.training.checkpoint_contents import CheckpointContents
from src.training.checkpoint_files import BEST, read_state, run_of
from src.training.run_folder import RunFolder, choose_folder, later_runs, read_name, saving_folder
from src.training.run_length import FIXED_BY_MINUTES
from src.training.trainer import Trainer

logger = logging.getLogger("unet")


@dataclass(frozen=True)
class Start:
    """What a run begins with.

    Attributes:
        checkpoint: the file to resume or to transfer from; None for fresh weights.
        run: name of the run that is resumed; None for a run that begins.
        transfers: whether only the weights of ``checkpoint`` are taken, without the last layer for example.
    """
    checkpoint: Path | None = None
    run: str | None = None
    transfers: bool = False


def find_place(config: Config, runtime: Runtime, ranks: Ranks) -> tuple[Config, Start, RunFolder]:
    """Find what a run begins with, and the folder that it writes into.

    Returns:
        tuple: the Config with that folder, the start, and the folder.

    Raises:
        UNetError: see ``find_start``; also if another process uses the folder.
    """
    if runtime.rank == 0 and Path(config.output_path).is_dir():
        FolderLock(config.output_path).release()
    start = find_start(config, saving_folder(config, runtime.rank))
    run = name_run(start, ranks)
    saves = runtime.rank == 0 or not config.is_save_on_master
    config, replaces = choose_folder(config, start.run, ranks, saves)
    return config, start, RunFolder(config, run, replaces, runtime.rank)


def find_start(config: Config, folder: Path) -> Start:
    """Find what the options name.

    Args:
        config (Config): uses resume, resume_ckpt, transfer_training, model_name and output_path.
        folder (Path): folder of the checkpoints, for ``auto``.

    Raises:
        UNetError: the checkpoint is missing or damaged, or ``auto`` finds those of several runs.
    """
    if not config.resume and not config.transfer_training:
        return Start()
    path = _newest(config, folder) if config.resume_ckpt == "auto" else Path(config.resume_ckpt)
    if path is None and config.transfer_training:
        raise UNetError(f"no whole checkpoint in {folder} to transfer from; name one with --resume_ckpt=FILE")
    if path is None:
        logger.warning("WARNING: no whole checkpoint in %s; the run starts at its beginning", folder)
        return Start(run=read_name(config.output_path))
    if config.transfer_training:
        if config.resume:
            logger.info("resume and transfer_training are both True: the weights of %s begin a new run", path)
        return Start(path, transfers=True)
    return Start(path, _run_in(path))


def _newest(config: Config, folder: Path) -> Path | None:
    if later := later_runs(config):
        logger.info("auto takes the run in %s; other runs, for --output_path, are in %s", config.output_path,
                    ", ".join(later))
    return checkpoint.newest_readable(folder, config.model_name, read_name(config.output_path))


def _run_in(path: Path) -> str | None:
    """Return the name of the run in a checkpoint; None for one of the model zoo."""
    try:
        return run_of(read_state(path))
    except (OSError, ValueError):
        return run_of(CheckpointContents(path).state)       # says what is wrong with the file


def name_run(start: Start, ranks: Ranks) -> str:
    """Return the name of the run: that of the resumed one, or a new one, on all ranks the same."""
    drawn = int(ranks.values(secrets.randbits(48))[0])      # ranks exchange float64, which holds 53 bits
    return f"{drawn:012x}" if start.run is None else start.run


def stored_length(config: Config, start: Start) -> Config:
    """Return the options with the length that a resumed run was given when it began, if minutes measured it."""
    if not config.minutes or start.run is None:
        return config
    if start.checkpoint:
        stored: dict[str, Any] = read_state(start.checkpoint) or {}
    else:
        path = Path(config.output_path) / CONFIG_YAML
        stored = read_yaml(path, load_schema()) if path.is_file() else {}
    if not stored.get("total_steps"):
        return config
    changes = {name: stored[name] for name in FIXED_BY_MINUTES
               if name in stored and name not in config.on_command_line}
    found = config.replace(f"{start.checkpoint}: the length of its run", **changes)
    if "total_steps" in changes:
        logger.info("the run has %d steps, as fixed when it began", found.total_steps)
    return found


def load_start(start: Start, config: Config, network: Any, trainer: Trainer) -> None:
    """Load the checkpoint into the network and the Trainer."""
    if start.checkpoint is None:
        return
    if start.transfers:
        state = checkpoint.transfer(network, start.checkpoint, config.filter_weight)
        for name in input_options.PIXELS:
            if name in state and state[name] != getattr(config, name):
                logger.warning("WARNING: the transferred weights were trained with %s %s, this run has %s", name,
                               state[name], getattr(config, name))
        if trainer.average:
            trainer.average.begin()
    else:
        state = checkpoint.resume(trainer.train_network, network, start.checkpoint, trainer.average)
        try:
            trainer.restore(state)
        except (UNetError, *WRONG_CONTENT) as error:
            raise UNetError(f"{start.checkpoint}: damaged: the state of its run cannot be restored ({error}); resume "
                            f"from another one") from None


def bring_best(start: Start, trainer: Trainer) -> Path | None:
    """Copy the best checkpoint of a resumed run from the folder of its checkpoint, if it resumes in another one.

    Returns:
        Path: the copy; None if there is nothing to bring.
    """
    known: dict[str, Any] = next((callback.state() for callback in trainer.callbacks
                                  if isinstance(callback, Evaluator)), {})
    if start.checkpoint is None or not known or start.checkpoint.parent.resolve() == trainer.folder.resolve():
        return None
    for path in (start.checkpoint.parent / BEST, start.checkpoint):
        if _is_best(path, start.run, known):
            with replacing(trainer.folder / BEST) as temporary:
                shutil.copyfile(path, temporary)
            logger.info("best checkpoint of the run so far: %s, from %s", trainer.folder / BEST, path)
            return trainer.folder / BEST
    logger.warning("WARNING: the best checkpoint of the run, of epoch %d, is not in %s, so it is missing in %s",
                   known["best_epoch"], start.checkpoint.parent, trainer.folder)
    return None


def bring_history(start: Start, folder: RunFolder) -> None:
    """Copy history.csv of a resumed run from the folder that it was in, if it resumes in another one without its own.

    The rows after the step of the checkpoint are left out when the run begins, as always.
    """
    if start.checkpoint is None or start.run is None or (Path(folder) / HISTORY_CSV).exists():
        return
    for output in start.checkpoint.resolve().parents:
        if read_name(output) == start.run and (output / HISTORY_CSV).is_file():
            with replacing(Path(folder) / HISTORY_CSV) as temporary:
                shutil.copyfile(output / HISTORY_CSV, temporary)
            return
    logger.warning("WARNING: no %s of the run in the folders above %s, so the one in %s begins with this start",
                   HISTORY_CSV, start.checkpoint, folder.output)


def _is_best(path: Path, run: str | None, known: dict[str, Any]) -> bool:
    """Return whether a checkpoint was saved after the evaluation that is the best one that is ``known``."""
    try:
        state = read_state(path)
    except (OSError, ValueError):
        return False
    evaluation = (state or {}).get("callbacks", {}).get(Evaluator.saved_as, {})
    return (state is not None and run_of(state) == run
            and evaluation.get("evaluated_step") == state["step"] and evaluation.get("since_best") == 0
            and all(evaluation.get(key) == known[key] for key in ("metric", "best", "best_epoch")))
