"""The progress bar of a run on a terminal."""
import sys

from tqdm import tqdm

from src.training.callbacks.callback import Callback
from src.training.trainer import Trainer

FORMAT = "step {n_fmt}/{total_fmt} {percentage:3.0f}%|{bar}| {remaining} left{postfix}"


def on_terminal() -> bool:
    """Return whether the log goes to a terminal, and not to a file or a pipe."""
    return sys.stdout.isatty() and sys.stderr.isatty()


class LiveLine(Callback):
    """Shows steps, time left, loss, images per second, the share of the time spent waiting for data, and scores."""

    def __init__(self, images_per_step: int) -> None:
        self.images_per_step = images_per_step
        self.bar: tqdm | None = None

    def on_step_end(self, trainer: Trainer) -> None:
        if self.bar is None:
            self.bar = tqdm(total=trainer.schedule.total_steps, initial=trainer.step - 1, bar_format=FORMAT,
                            dynamic_ncols=True, leave=False)
        self.bar.set_postfix_str(self._text(trainer), refresh=False)
        self.bar.update()

    def on_save(self, trainer: Trainer) -> None:
        if self.bar is not None and trainer.evaluation and trainer.evaluation.step == trainer.step:
            self.bar.set_postfix_str(self._text(trainer))

    def on_train_end(self, trainer: Trainer) -> None:
        self.close()

    def _text(self, trainer: Trainer) -> str:
        seconds = trainer.step_seconds
        text = (f"epoch {trainer.epoch_and_step[0]}, loss {trainer.loss:.4g}, {self.images_per_step / seconds:.3g} "
                f"images/s, {trainer.wait_seconds / seconds:.0%} waiting")
        if trainer.evaluation:
            text += f", {trainer.evaluation.metric} {trainer.evaluation.value:.4f}, best {trainer.evaluation.best:.4f}"
        return text

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
