"""A Trainer without a network, which drives callbacks."""
from contextlib import nullcontext
from pathlib import Path

from src.model_utils.ranks import Ranks


class StandInTrainer:
    """Steps without a network."""

    def __init__(self, schedule, callbacks, losses=None, folder=Path("/none")):
        self.schedule, self.callbacks, self.step = schedule, callbacks, 0
        self.losses = losses or [0.5] * schedule.total_steps
        self.wait_seconds, self.step_seconds, self.train_network, self.folder = 0.125, 0.25, None, folder
        self.ranks = Ranks()
        self.evaluation, self.ends_early, self.average = None, False, None

    def state(self):
        return {"step": self.step}

    def evaluated_weights(self):
        return nullcontext()

    def take_evaluation(self, evaluation):
        self.evaluation = evaluation
        for callback in self.callbacks:
            callback.on_evaluation(self)

    @property
    def finished(self):
        return self.step == self.schedule.total_steps

    @property
    def at_epoch_end(self):
        return self.epoch_and_step[1] == self.schedule.steps_per_epoch

    @property
    def epoch_and_step(self):
        return self.schedule.epoch_and_step(self.step)

    def go(self):
        for loss in self.losses:
            self.loss = loss
            self.step += 1
            for callback in self.callbacks:
                callback.on_step_end(self)
            if self.at_epoch_end:
                for callback in self.callbacks:
                    callback.on_epoch_end(self)
            for callback in self.callbacks:
                callback.on_save(self)
        for callback in self.callbacks:
            callback.on_train_end(self)
