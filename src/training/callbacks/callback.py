"""What happens beside the steps of a run: the events that a callback hears of."""


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
