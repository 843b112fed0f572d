"""The log lines of steps and epochs."""
import logging
import math

from src.model_utils.errors import UNetError
from src.training import checkpoint
from src.training.callbacks.callback import Callback
from src.training.callbacks.checkpoint import doubtful_checkpoint

logger = logging.getLogger("unet")


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
                            f"{checkpoint.last_good(trainer.folder, doubtful_checkpoint(trainer))}; lower lr, or "
                            f"check the data")


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
