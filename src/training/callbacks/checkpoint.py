"""When a run saves a checkpoint, and which checkpoints it keeps; ``src.training.checkpoint`` knows how."""
import logging
from pathlib import Path
from typing import Any

from src.training import checkpoint
from src.training.callbacks.callback import Callback
from src.training.checkpoint_files import BEST, checkpoint_name
from src.training.trainer import Trainer

logger = logging.getLogger("unet")


class CheckpointSaver(Callback):
    """Saves a checkpoint at intervals and at the end of the run, and best.ckpt after each best evaluation.

    Args:
        folder (Path): folder of the checkpoints.
        model_name (str): part of the file names.
        interval (int): steps between two checkpoints; 0 saves at the end of each epoch.
        keep (int): number of checkpoints to keep; best.ckpt stays besides.
        save_best (bool): whether to save best.ckpt.
    """

    def __init__(self, folder: Path, model_name: str, interval: int, keep: int, save_best: bool = False) -> None:
        self.folder, self.model_name = folder, model_name
        self.interval, self.keep, self.save_best = interval, keep, save_best
        self.path: Path | None = None
        self.saved_state: dict[str, Any] | None = None

    def on_evaluation(self, trainer: Trainer) -> None:
        if self.save_best and trainer.evaluation and trainer.evaluation.is_best:
            path = self.folder / BEST
            checkpoint.save(trainer.train_network, path, trainer.state())
            logger.info("update best checkpoint at: %s", path)

    def on_save(self, trainer: Trainer) -> None:
        if trainer.step % self.interval == 0 if self.interval else trainer.at_epoch_end:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        if trainer.state() != self.saved_state:
            self._save(trainer)
        logger.info("checkpoint: %s", self.path)

    def _save(self, trainer: Trainer) -> None:
        self.path = self.folder / checkpoint_name(self.model_name, *trainer.epoch_and_step)
        self.saved_state = trainer.state()
        checkpoint.save(trainer.train_network, self.path, self.saved_state)
        checkpoint.prune(self.folder, self.model_name, self.keep)


def previous_step_checkpoint(trainer: Trainer) -> Path | None:
    """Return the checkpoint that this run saved after the previous step, if it did.

    Its weights produced the loss of the last step. If that is not finite, they may be bad already.
    """
    return next((callback.path for callback in trainer.callbacks if isinstance(callback, CheckpointSaver)
                 and callback.saved_state and callback.saved_state["step"] == trainer.step - 1), None)
