"""The loop over the steps of a run, on all of its ranks."""
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from src.data.schedule import Schedule
from src.model_utils.errors import UNetError
from src.model_utils.ranks import Ranks
from src.networks.dropout import DropoutKeys
from src.training.evaluation import Evaluation
from src.training.weight_average import WeightAverage

logger = logging.getLogger("unet")


class Trainer:
    """One training run: the training step, its data, and its progress.

    Attributes:
        train_network (nn.Cell): the training step, (images, labels) -> loss; holds the network and the optimizer.
        schedule (Schedule): steps of the run.
        callbacks (list[Callback]): what the run does besides its steps, in this order.
        identity (dict): what the course of the run depends on; checkpoints store it.
        folder (Path): folder of the checkpoints.
        dropout (DropoutKeys): of the network; decides what a step drops.
        ranks (Ranks): the ranks that train together.
        average (WeightAverage): the mean of the weights, which is evaluated instead of them; None for none.
        step (int): number of steps done.
        loss (float): loss of the last step, the mean over the ranks; NaN before the first step.
        evaluation (Evaluation): the last evaluation, only on rank 0; None before the first.
        ends_early (bool): whether a callback has asked for the end of the run.
        step_seconds (float): time of the last step, from asking for its batch to its loss.
        wait_seconds (float): the part of it that was spent waiting for the batch.
    """

    def __init__(self, train_network: Any, schedule: Schedule, callbacks: list[Any], identity: dict[str, Any],
                 folder: Path, dropout: DropoutKeys, ranks: Ranks, average: WeightAverage | None = None) -> None:
        self.train_network = train_network
        self.schedule = schedule
        self.callbacks = callbacks
        self.identity = identity
        self.folder = folder
        self.dropout = dropout
        self.ranks = ranks
        self.average = average
        self.step = 0
        self.loss = math.nan
        self.evaluation: Evaluation | None = None
        self.ends_early = False
        self.wait_seconds = self.step_seconds = 0.0

    @property
    def epoch_and_step(self) -> tuple[int, int]:
        """(epoch, step in the epoch) of the last step, both from 1."""
        return self.schedule.epoch_and_step(self.step)

    @property
    def at_epoch_end(self) -> bool:
        """Whether the last step was the last of its epoch."""
        return self.epoch_and_step[1] == self.schedule.steps_per_epoch

    @property
    def finished(self) -> bool:
        """Whether all steps of the schedule are done."""
        return self.step >= self.schedule.total_steps

    @property
    def over(self) -> bool:
        """Whether nothing is left to train."""
        return self.finished or self.ends_early

    def state(self) -> dict[str, Any]:
        """Return all that a checkpoint must hold besides the network and the optimizer.

        The position in the data and what dropout drops follow from the step and the seed.
        """
        return {**self.identity, "step": self.step,
                "callbacks": {callback.saved_as: callback.state() for callback in self.callbacks}}

    def restore(self, state: dict[str, Any]) -> None:
        """Resume where ``state`` was stored; warn if the run now depends on other values."""
        self.step = state["step"]
        for callback in self.callbacks:
            callback.restore(state.get("callbacks", {}).get(callback.saved_as, {}))
        for key, value in self.identity.items():
            if key in state and state[key] != value:
                logger.warning("WARNING: %s was %s and is %s now; the run will not be what it would have been without "
                               "the stop", key, state[key], value)

    def begin(self) -> None:
        """Call ``on_train_begin`` on all ranks."""
        with self.ranks.reporting_failure():
            self._notify("on_train_begin", self)
        self._agree_on_early_end()

    def evaluated_weights(self) -> AbstractContextManager[None]:
        """Have in the network, for a while, the weights to evaluate: their mean, if the run has one."""
        return self.average.in_network() if self.average else nullcontext()

    def take_evaluation(self, evaluation: Evaluation) -> None:
        """Make ``evaluation`` the last one, and tell all callbacks."""
        self.evaluation = evaluation
        self._notify("on_evaluation", self)

    def _agree_on_early_end(self) -> None:
        """Tell all ranks whether the run ends early: only rank 0 evaluates, so only rank 0 knows."""
        self.ends_early = self.ranks.synchronize(stop=self.ends_early)

    def close(self) -> None:
        """Release what the callbacks hold."""
        self._notify("close")

    def run(self, batches: Iterator[Any], interrupted: Callable[[], object]) -> None:
        """Train on ``batches`` (those after ``step``) to the end of the schedule, or until ``interrupted()``.

        All ranks stop after the same step. None of them returns before all are done.

        Raises:
            UNetError: a damaged image, a loss that is not finite, or another rank that has failed.
        """
        while not self.finished:
            started = time.perf_counter()
            with self.ranks.reporting_failure():
                images, labels = self._next_batch(batches)
            self.wait_seconds = time.perf_counter() - started
            if self.ranks.synchronize(stop=bool(interrupted()) or self.ends_early):
                break
            self.loss = self._train_on(images, labels)
            self.step += 1
            self.step_seconds = time.perf_counter() - started
            with self.ranks.reporting_failure():
                self._after_step()
        self._agree_on_early_end()
        self.end()

    def _train_on(self, images: Any, labels: Any) -> float:
        """Do a step; return its loss, the mean over the ranks."""
        # Evaluation in a callback leaves the network in evaluation mode.
        self.train_network.set_train()
        self.dropout.begin_step(self.step)
        with self.ranks.collective():
            loss = float(self.train_network(images, labels).asnumpy())
        if self.average:
            self.average.update(self.step + 1)
        return float(self.ranks.values(loss).mean())

    def try_step(self, batches: Iterator[Any]) -> None:
        """Do a step that does not count, on all ranks."""
        with self.ranks.reporting_failure():
            images, labels = self._next_batch(batches)
        self.ranks.synchronize()        # a rank that has failed takes no part in the sum of the gradients
        self._train_on(images, labels)

    def _after_step(self) -> None:
        self._notify("on_step_end", self)
        if self.at_epoch_end:
            self._notify("on_epoch_end", self)
        self._notify("on_save", self)

    def end(self) -> None:
        """Call ``on_train_end``, and wait for all ranks."""
        with self.ranks.reporting_failure():
            if self.step:
                self._notify("on_train_end", self)
        self.ranks.synchronize()

    def _notify(self, event: str, *arguments: "Trainer") -> None:
        for callback in self.callbacks:
            getattr(callback, event)(*arguments)

    @staticmethod
    def _next_batch(batches: Iterator[Any]) -> Any:
        try:
            return next(batches)
        except RuntimeError as error:
            raise _reader_error(error) or error from None


def _reader_error(error: RuntimeError) -> UNetError | None:
    """Return the UNetError that a reader raised inside the pipeline. MindSpore passes on only its text."""
    marker = f"{UNetError.__name__}: "
    lines = [line for line in str(error).splitlines() if marker in line]
    return UNetError(lines[-1].split(marker, 1)[1]) if lines else None
