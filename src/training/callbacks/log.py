"""The log lines of steps and epochs."""
import logging
import math
from typing import Any

from src.model_utils.claims import MOST_STEPS, claimed, claimed_int
from src.model_utils.errors import UNetError
from src.training import checkpoint
from src.training.callbacks.callback import Callback
from src.training.callbacks.checkpoint import previous_step_checkpoint
from src.training.checkpoint_files import run_of
from src.training.trainer import Trainer

logger = logging.getLogger("unet")


def step_line(step: int, loss: float, fps: float) -> str:
    """Return the line of a step, counted from 1 in its epoch."""
    return f"step: {step}, loss is {loss:.7g}, fps is {fps:.4g}"


def epoch_line(epoch: int, loss: float, seconds: float, fps: float) -> str:
    """Return the line of an epoch, counted from 1; ``loss`` is the mean of its steps."""
    return f"epoch: {epoch:3d}, avg loss:{loss:.4f}, total cost: {seconds:.3f} s, per step fps:{fps:5.3f}"


class StepLog(Callback):
    """Logs the steps, and ends a run whose loss is not finite.

    Args:
        interval (int): steps between two lines; 0 logs none.
    """

    def __init__(self, interval: int = 1) -> None:
        self.interval = interval

    def on_step_end(self, trainer: Trainer) -> None:
        epoch, step = trainer.epoch_and_step
        if self.interval and step % self.interval == 0:
            fps = trainer.schedule.batch_size / trainer.step_seconds
            logger.info(step_line(step, trainer.loss, fps))
        if not math.isfinite(trainer.loss):
            last = checkpoint.last_checkpoint_message(trainer.folder, run_of(trainer.state()),
                                                      previous_step_checkpoint(trainer))
            raise UNetError(f"the loss is {trainer.loss} at step {step} of epoch {epoch}; the run ends, {last}; "
                            f"lower lr, or check the data")


class EpochLog(Callback):
    """Logs each epoch: mean loss, time, images per second, and the share of the time spent waiting for data.

    The time is that of the steps. It does not include compiling, evaluating and saving.
    """

    saved_as = "EpochLossTimeMonitor"

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.steps, self.losses, self.cost, self.waited = 0, 0.0, 0.0, 0.0

    def state(self) -> dict[str, Any]:
        return {"steps": self.steps, "losses": self.losses, "cost": self.cost, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = claimed_int(state.get("steps", 0), 0, MOST_STEPS, "steps")
        self.losses, self.cost, self.waited = (claimed(state.get(name, 0), -math.inf, math.inf, name)
                                               for name in ("losses", "cost", "waited"))

    def on_step_end(self, trainer: Trainer) -> None:
        self.steps += 1
        self.losses += trainer.loss
        self.cost += trainer.step_seconds
        self.waited += trainer.wait_seconds

    def on_epoch_end(self, trainer: Trainer) -> None:
        fps = trainer.schedule.batch_size * self.steps / self.cost
        logger.info(epoch_line(trainer.epoch_and_step[0], self.losses / self.steps, self.cost, fps))
        share = self.waited / self.cost
        logger.info("waited for data: %.1f %% of the epoch, so %s sets the pace", 100 * share,
                    "the data pipeline" if share > 0.3 else "the network")
        self._start()
