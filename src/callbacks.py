"""What happens beside the steps of a run: the log and the checkpoints."""
import logging
import math
import time

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

    def on_step_end(self, trainer):
        """After a step; ``trainer.step`` counts it."""

    def on_epoch_end(self, trainer):
        """After the last step of an epoch, and after its ``on_step_end``."""

    def on_train_end(self, trainer):
        """After the last step of the run."""


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
                            f"{_last_good(trainer)}; lower lr, or check the data")


def _last_good(trainer):
    """The newest checkpoint that is known to be sound.

    A step's loss is that of the weights before the step. So the weights after the step before are the broken
    ones, and those one step earlier still gave a finite loss.
    """
    good = [path for callback in trainer.callbacks if isinstance(callback, CheckpointSaver)
            for step, path in callback.saved if step <= trainer.step - 2]
    return f"the last good checkpoint is {good[-1]}" if good else "no good checkpoint was saved before"


class EpochLossTimeMonitor(Callback):
    """The log lines of each epoch: mean loss, time, images per second, and what the steps waited for."""

    def __init__(self):
        self._start()

    def _start(self):
        self.started = time.perf_counter()
        self.losses = []
        self.waited = 0.0

    def on_step_end(self, trainer):
        self.losses.append(trainer.loss)
        self.waited += trainer.wait_seconds

    def on_epoch_end(self, trainer):
        cost = time.perf_counter() - self.started
        fps = trainer.schedule.batch_size * len(self.losses) / cost
        logger.info("epoch: %3d, avg loss:%.4f, total cost: %.3f s, per step fps:%5.3f", trainer.epoch_and_step[0],
                    sum(self.losses) / len(self.losses), cost, fps)
        share = self.waited / cost
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
        self.saved = []     # (step, path), in order

    def on_step_end(self, trainer):
        if self.interval and trainer.step % self.interval == 0:
            self._save(trainer)

    def on_epoch_end(self, trainer):
        if not self.interval:
            self._save(trainer)

    def on_train_end(self, trainer):
        if not self.saved or self.saved[-1][0] != trainer.step:
            self._save(trainer)
        logger.info("checkpoint: %s", self.saved[-1][1])

    def _save(self, trainer):
        path = self.folder / checkpoint.checkpoint_name(self.model_name, *trainer.epoch_and_step)
        checkpoint.save(trainer.train_network, path, trainer.state())
        self.saved.append((trainer.step, path))
        checkpoint.prune(self.folder, self.model_name, self.keep)
