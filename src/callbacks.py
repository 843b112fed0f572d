"""What happens beside the steps of a run: the log and the checkpoints."""
import logging
import math

from src import checkpoint
from src.model_utils.errors import UNetError

logger = logging.getLogger("unet")


class Callback:
    """Called by the Trainer, which it gets as argument, after each step, each epoch, and the run.

    What a callback has to remember over a stop, it gives as ``state`` and gets back through ``restore``.
    """

    def state(self):
        """A JSON-able dict that goes into each checkpoint."""
        return {}

    def restore(self, state):
        """Take up ``state`` when a run is resumed."""

    def on_train_begin(self, trainer):
        """Before the first step of this start of the run; ``trainer.step`` are done already."""

    def on_step_end(self, trainer):
        """After a step; ``trainer.step`` counts it."""

    def on_epoch_end(self, trainer):
        """After the last step of an epoch, and after its ``on_step_end``."""

    def on_step_done(self, trainer):
        """After all that belongs to a step, the end of its epoch too: the time to save."""

    def on_train_end(self, trainer):
        """After the last step of the run."""

    def close(self):
        """When the run is over, or has failed."""


class StepLossTimeMonitor(Callback):
    """The log line of each step, and the end of a run whose loss is not finite.

    Args:
        interval (int): steps between two lines; 0 prints none.
    """

    def __init__(self, interval=1):
        self.interval = interval

    def on_step_end(self, trainer):
        epoch, step = trainer.epoch_and_step
        if self.interval and step % self.interval == 0:
            fps = trainer.schedule.batch_size / trainer.step_seconds
            logger.info("step: %d, loss is %.7g, fps is %.4g", step, trainer.loss, fps)
        if not math.isfinite(trainer.loss):
            raise UNetError(f"the loss is {trainer.loss} at step {step} of epoch {epoch}; the run ends, "
                            f"{checkpoint.last_good(trainer.folder, _doubtful(trainer))}; lower lr, or check the data")


def _doubtful(trainer):
    """The checkpoint of the step before, if there is one: a step's loss is that of the weights before the step."""
    return next((callback.path for callback in trainer.callbacks if isinstance(callback, CheckpointSaver)
                 and callback.saved_state and callback.saved_state["step"] == trainer.step - 1), None)


class EpochLossTimeMonitor(Callback):
    """The log lines of each epoch: mean loss, time, images per second, and what the steps waited for.

    The time is that of the steps, without compiling, evaluating and saving.
    """

    def __init__(self):
        self._start()

    def _start(self):
        self.steps, self.losses, self.cost, self.waited = 0, 0.0, 0.0, 0.0

    def state(self):
        return {"steps": self.steps, "losses": self.losses, "cost": self.cost, "waited": self.waited}

    def restore(self, state):
        for key in self.state():
            setattr(self, key, state.get(key, 0))

    def on_step_end(self, trainer):
        self.steps += 1
        self.losses += trainer.loss
        self.cost += trainer.wait_seconds + trainer.step_seconds
        self.waited += trainer.wait_seconds

    def on_epoch_end(self, trainer):
        fps = trainer.schedule.batch_size * self.steps / self.cost
        logger.info("epoch: %3d, avg loss:%.4f, total cost: %.3f s, per step fps:%5.3f", trainer.epoch_and_step[0],
                    self.losses / self.steps, self.cost, fps)
        share = self.waited / self.cost
        logger.info("waited for data: %.1f %% of the epoch, so %s sets the pace", 100 * share,
                    "the data pipeline" if share > 0.3 else "the network")
        self._start()


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
