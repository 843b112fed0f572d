"""The events of a run that a callback can act on."""
from typing import Any

from src.training.trainer import Trainer


class Callback:
    """Base of the callbacks: each method is an event, which does nothing unless a callback overrides it.

    The Trainer calls the callbacks in the order of its list, and passes itself. A callback that must remember
    something when a run is stopped returns it from ``state`` and gets it back through ``restore``.
    """

    @property
    def saved_as(self) -> str:
        """The name of its state in checkpoints, which stays when the class gets another name."""
        return type(self).__name__

    def state(self) -> dict[str, Any]:
        """Return what to store in each checkpoint, as a JSON-able dict."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a stored ``state`` when a run resumes; ``{}`` if the checkpoint has none of this callback."""

    def on_train_begin(self, trainer: Trainer) -> None:
        """Before the first step since the start or the resume; ``trainer.step`` steps are done already."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After a step; ``trainer.step`` counts it."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After the last step of an epoch, and after ``on_step_end`` of all callbacks."""

    def on_evaluation(self, trainer: Trainer) -> None:
        """After an evaluation, which is ``trainer.evaluation``; inside the event in which it was made."""

    def on_save(self, trainer: Trainer) -> None:
        """After ``on_step_end`` and ``on_epoch_end`` of all callbacks: the time to save and to write files."""

    def on_train_end(self, trainer: Trainer) -> None:
        """After the last step before the end or the stop of the run."""

    def close(self) -> None:
        """When the run has ended or failed."""
