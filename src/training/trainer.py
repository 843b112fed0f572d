"""The loop over the steps of a run, on all of its ranks."""
import logging
import time

from src.model_utils.errors import UNetError

logger = logging.getLogger("unet")


class Trainer:
    """One training run: the training step, its data, and how far it has come.

    Attributes:
        train_network (nn.Cell): the compiled step: (images, labels) -> loss; holds network and optimizer.
        schedule (Schedule): steps of the run.
        callbacks (list[Callback]): what happens beside the steps.
        about (dict): what the run depends on, for the checkpoints.
        folder (Path): where the checkpoints are.
        ranks (Ranks): the ranks that train together.
        step (int): steps done.
        loss (float): loss of the last step, the mean over the ranks.
        evaluation (Evaluation): the last one, on rank 0; None before the first.
        ends_early (bool): whether a callback has asked for the end of the run.
        wait_seconds, step_seconds (float): time of the last step spent waiting for its batch, and computing.
    """

    def __init__(self, train_network, schedule, callbacks, about, folder, ranks):
        self.train_network = train_network
        self.schedule = schedule
        self.callbacks = callbacks
        self.about = about
        self.folder = folder
        self.ranks = ranks
        self.step = 0
        self.loss = None
        self.evaluation = None
        self.ends_early = False
        self.wait_seconds = self.step_seconds = 0.0

    @property
    def epoch_and_step(self):
        """(epoch, step in the epoch) of the last step, both from 1."""
        return self.schedule.epoch_and_step(self.step)

    @property
    def at_epoch_end(self):
        """Whether the last step was the last of its epoch."""
        return self.epoch_and_step[1] == self.schedule.steps_per_epoch

    @property
    def finished(self):
        """Whether all steps of the schedule are done."""
        return self.step >= self.schedule.total_steps

    @property
    def over(self):
        """Whether nothing is left to train."""
        return self.finished or self.ends_early

    def state(self):
        """All that a checkpoint has to hold besides network and optimizer.

        The position in the data follows from the step and the seed.
        """
        return {**self.about, "step": self.step,
                "callbacks": {type(callback).__name__: callback.state() for callback in self.callbacks}}

    def restore(self, state):
        """Take up a run where ``state`` was taken."""
        self.step = state["step"]
        for callback in self.callbacks:
            callback.restore(state.get("callbacks", {}).get(type(callback).__name__, {}))
        for key, value in self.about.items():
            if key in state and state[key] != value:
                logger.warning("WARNING: %s was %s and is %s now; the run will not be what it would have been without "
                               "the stop", key, state[key], value)

    def begin(self):
        """Do what comes before the first step, on all ranks."""
        with self.ranks.reporting_failure():
            self._notify("on_train_begin", self)
        self._agree_on_early_end()

    def _agree_on_early_end(self):
        """Rank 0 evaluates, and so knows alone that the run ends."""
        self.ends_early = self.ranks.synchronize(stop=self.ends_early)

    def close(self):
        """Let go of what the callbacks hold."""
        self._notify("close")

    def run(self, batches, interrupted):
        """Train on ``batches`` (those from ``step`` on) to the end of the schedule, or until ``interrupted()``.

        All ranks stop behind the same step, and leave when the last one has done what is left to do.

        Raises:
            UNetError: a damaged image, a loss that is not finite, or another rank that has failed.
        """
        iterator = batches.create_tuple_iterator(num_epochs=1)
        while not self.finished:
            started = time.perf_counter()
            with self.ranks.reporting_failure():
                images, labels = self._next_batch(iterator)
            self.wait_seconds = time.perf_counter() - started
            if self.ranks.synchronize(stop=bool(interrupted()) or self.ends_early):
                break
            started = time.perf_counter()
            # Evaluation in a callback leaves the network in evaluation mode.
            self.train_network.set_train()
            with self.ranks.collective():
                loss = float(self.train_network(images, labels).asnumpy())
            self.step_seconds = time.perf_counter() - started
            self.loss = float(self.ranks.values(loss).mean())
            self.step += 1
            with self.ranks.reporting_failure():
                self._after_step()
        self._agree_on_early_end()
        self.end()

    def _after_step(self):
        self._notify("on_step_end", self)
        if self.at_epoch_end:
            self._notify("on_epoch_end", self)
        self._notify("on_step_done", self)

    def end(self):
        """Do what is left to do at the end of a run, or of its last step; all ranks leave when the last one is done."""
        with self.ranks.reporting_failure():
            if self.step:
                self._notify("on_train_end", self)
        self.ranks.synchronize()

    def _notify(self, event, *arguments):
        for callback in self.callbacks:
            getattr(callback, event)(*arguments)

    @staticmethod
    def _next_batch(iterator):
        try:
            return next(iterator)
        except RuntimeError as error:
            raise _reader_error(error) or error from None


def _reader_error(error):
    """The UNetError that a reader raised inside the pipeline; MindSpore passes it on as text alone."""
    marker = f"{UNetError.__name__}: "
    lines = [line for line in str(error).splitlines() if marker in line]
    return UNetError(lines[-1].split(marker, 1)[1]) if lines else None
