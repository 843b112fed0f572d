"""When a run saves a checkpoint, and which checkpoints it keeps; ``src.training.checkpoint`` knows how."""
import logging
import time
from pathlib import Path
from typing import Any

from src.training import checkpoint
from src.training.callbacks.callback import Callback
from src.training.checkpoint_files import BEST, checkpoint_name, run_of
from src.training.run_folder import RunFolder
from src.training.trainer import Trainer

logger = logging.getLogger("unet")


class CheckpointSaver(Callback):
    """Saves a checkpoint at intervals and at the end of the run, and best.ckpt after each best evaluation.

    Args:
        folder (Path): folder of the checkpoints.
        model_name (str): part of the file names.
        interval (int): steps between two checkpoints; 0 saves at the ends of epochs.
        keep (int): number of checkpoints to keep; best.ckpt stays besides.
        save_best (bool): whether to save best.ckpt.
        minutes (float): least time between two checkpoints at the ends of epochs.
        on_every_rank (bool): whether every rank saves; all do so after the same steps.
        run_folder (RunFolder): the output folder, which the run may take over with its first checkpoint.
    """

    def __init__(self, folder: Path, model_name: str, interval: int, keep: int, save_best: bool = False,
                 minutes: float = 0, on_every_rank: bool = False, run_folder: RunFolder | None = None) -> None:
        self.folder, self.model_name, self.run_folder = folder, model_name, run_folder
        self.interval, self.keep, self.save_best = interval, keep, save_best
        self.minutes, self.on_every_rank = minutes, on_every_rank
        self.path: Path | None = None
        self.saved_state: dict[str, Any] | None = None
        self.saved_at = -float("inf")
        self.began: int | None = None       # the step after which this start of the run begins

    def on_train_begin(self, trainer: Trainer) -> None:
        self.began = trainer.step

    def on_evaluation(self, trainer: Trainer) -> None:
        if self.save_best and trainer.evaluation and trainer.evaluation.is_best:
            self._write(trainer, self.folder / BEST, trainer.state())
            logger.info("update best checkpoint at: %s", self.folder / BEST)

    def on_save(self, trainer: Trainer) -> None:
        if trainer.step % self.interval == 0 if self.interval else trainer.at_epoch_end and self._is_time(trainer):
            self._save(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        if trainer.state() != self.saved_state:
            self._save(trainer)
        logger.info("checkpoint: %s", self.path)

    def _is_time(self, trainer: Trainer) -> bool:
        """Return whether the last checkpoint is old enough, of one rank that saves and so of all."""
        is_time = time.monotonic() - self.saved_at >= 60 * self.minutes
        return trainer.ranks.synchronize(stop=is_time) if self.on_every_rank else is_time

    def _save(self, trainer: Trainer) -> None:
        self.path = self.folder / checkpoint_name(self.model_name, *trainer.epoch_and_step)
        self.saved_state = trainer.state()
        self._write(trainer, self.path, self.saved_state)
        self.saved_at = time.monotonic()
        has_trained = self.began is not None and trainer.step > self.began
        checkpoint.prune(self.folder, run_of(self.saved_state), self.keep, trainer.step if has_trained else None)

    def _write(self, trainer: Trainer, path: Path, state: dict[str, Any]) -> None:
        checkpoint.save(trainer.train_network, path, state, trainer.average)
        if self.run_folder:
            self.run_folder.take_over()


def previous_step_checkpoint(trainer: Trainer) -> Path | None:
    """Return the checkpoint that this run saved after the previous step, if it did.

    Its weights produced the loss of the last step. If that is not finite, they may be bad already.
    """
    return next((callback.path for callback in trainer.callbacks if isinstance(callback, CheckpointSaver)
                 and callback.saved_state and callback.saved_state["step"] == trainer.step - 1), None)
