"""When a run saves a checkpoint."""
import logging

from src.training import checkpoint
from src.training.callbacks.callback import Callback

logger = logging.getLogger("unet")


class CheckpointSaver(Callback):
    """Saves every so many steps, or at the end of each epoch, and always at the end of the run.

    Args:
        folder (Path): where to.
        model_name (str): part of the file names.
        interval (int): steps between two checkpoints; 0 for the ends of epochs.
        keep (int): checkpoints to keep.
    """

    def __init__(self, folder, model_name, interval, keep):
        self.folder, self.model_name = folder, model_name
        self.interval, self.keep = interval, keep
        self.path, self.saved_state = None, None

    def on_step_done(self, trainer):
        if trainer.step % self.interval == 0 if self.interval else trainer.at_epoch_end:
            self._save(trainer)

    def on_train_end(self, trainer):
        if trainer.state() != self.saved_state:
            self._save(trainer)
        logger.info("checkpoint: %s", self.path)

    def _save(self, trainer):
        self.path = self.folder / checkpoint.checkpoint_name(self.model_name, *trainer.epoch_and_step)
        self.saved_state = trainer.state()
        checkpoint.save(trainer.train_network, self.path, self.saved_state)
        checkpoint.prune(self.folder, self.model_name, self.keep)


def doubtful_checkpoint(trainer):
    """The checkpoint of the step before, if there is one: a step's loss is that of the weights before the step."""
    return next((callback.path for callback in trainer.callbacks if isinstance(callback, CheckpointSaver)
                 and callback.saved_state and callback.saved_state["step"] == trainer.step - 1), None)
