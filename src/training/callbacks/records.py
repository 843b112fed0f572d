"""The records of a run in its output folder: history.csv, progress.png, report.html."""
from collections.abc import Callable
from pathlib import Path

import numpy as np

from src.evaluation.scores import Scores
from src.model_utils.files import PROGRESS_PNG, write_atomically
from src.report.gallery import Gallery
from src.report.history import STEP, TRAINING, VALIDATION, History, Row, scores_row
from src.training.callbacks.callback import Callback
from src.training.evaluation import Evaluation
from src.training.trainer import Trainer


class HistoryWriter(Callback):
    """Writes the rows of history.csv.

    Args:
        history (History): the file.
        rates (np.ndarray): learning rate of each step of the run.
        images_per_step (int): images that all ranks together take in a step.
    """

    def __init__(self, history: History, rates: np.ndarray, images_per_step: int) -> None:
        self.history, self.rates, self.images_per_step = history, rates, images_per_step

    def on_train_begin(self, trainer: Trainer) -> None:
        self.history.start(trainer.step)

    def on_save(self, trainer: Trainer) -> None:
        seconds = trainer.wait_seconds + trainer.step_seconds
        self.history.append(Row(trainer.step, trainer.epoch_and_step[0], STEP, trainer.loss,
                                float(self.rates[trainer.step - 1]), seconds, self.images_per_step / seconds,
                                trainer.wait_seconds / seconds))
        self._append_evaluation(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        self._append_evaluation(trainer)

    def _append_evaluation(self, trainer: Trainer) -> None:
        found = trainer.evaluation
        if found and found.step == trainer.step:
            self.history.append(scores_row(found.step, found.epoch, VALIDATION, found.scores, found.seconds))
            if found.train_scores:
                self.history.append(scores_row(found.step, found.epoch, TRAINING, found.train_scores, found.seconds))


class ProgressPicture(Callback):
    """Draws progress.png after each evaluation and at the end of the run.

    Args:
        folder (Path): the output folder.
        history (History): the rows to draw; this callback comes after HistoryWriter.
    """

    def __init__(self, folder: Path, history: History) -> None:
        self.path, self.history = folder / PROGRESS_PNG, history

    def on_save(self, trainer: Trainer) -> None:
        if trainer.evaluation and trainer.evaluation.step == trainer.step:
            self._draw()

    def on_train_end(self, trainer: Trainer) -> None:
        self._draw()

    def _draw(self) -> None:
        from src.report.figures import progress_png  # matplotlib takes a second to load

        write_atomically(self.path, progress_png(self.history.rows))


class ReportWriter(Callback):
    """Writes report.html at the end of a run, if it evaluated: about the best evaluation since its start or resume.

    If none of them is the best of the run, the report is about the last one.

    Args:
        write (callable): writes the report; takes a description of the evaluated weights, the Scores and the Gallery.
    """

    def __init__(self, write: Callable[[str, Scores, Gallery], object]) -> None:
        self.write = write
        self.shown: Evaluation | None = None

    def on_evaluation(self, trainer: Trainer) -> None:
        if trainer.evaluation and (trainer.evaluation.is_best or not (self.shown and self.shown.is_best)):
            self.shown = trainer.evaluation

    def on_train_end(self, trainer: Trainer) -> None:
        if self.shown:
            which = "the best of the run" if self.shown.is_best else "not the best of the run, which came before a stop"
            self.write(f"the network after step {self.shown.step}, epoch {self.shown.epoch}, {which}",
                       self.shown.scores, self.shown.gallery)
