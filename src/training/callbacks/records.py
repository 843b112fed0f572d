"""The records of a run in its output folder: history.csv, progress.png, report.html."""
from collections.abc import Callable
from pathlib import Path

from src.evaluation.scores import Scores
from src.model_utils.files import PROGRESS_PNG, OptionalFile, write_atomically
from src.report.gallery import Gallery
from src.report.history import STEP, TRAINING, VALIDATION, History, Row, scores_row
from src.training.callbacks.callback import Callback
from src.training.evaluation import Evaluation
from src.training.run_folder import RunFolder
from src.training.trainer import Trainer


class HistoryWriter(Callback):
    """Writes the rows of history.csv.

    Args:
        history (History): the file.
        rate_of_step (callable): step, from 0 -> its learning rate.
        images_per_step (int): images that all ranks together take in a step.
    """

    def __init__(self, history: History, rate_of_step: Callable[[int], float], images_per_step: int) -> None:
        self.history, self.rate_of_step, self.images_per_step = history, rate_of_step, images_per_step

    def on_train_begin(self, trainer: Trainer) -> None:
        self.history.start(trainer.step)

    def on_evaluation(self, trainer: Trainer) -> None:
        self._append(trainer)       # before best.ckpt, so that the file has the rows of the steps of any checkpoint

    def on_save(self, trainer: Trainer) -> None:
        self._append(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        self._append(trainer)

    def _append(self, trainer: Trainer) -> None:
        if seconds := trainer.step_seconds:     # 0 before the first step since the start or resume
            self.history.append(Row(trainer.step, trainer.epoch_and_step[0], STEP, trainer.loss,
                                    self.rate_of_step(trainer.step - 1), seconds, self.images_per_step / seconds,
                                    trainer.wait_seconds / seconds))
        found = trainer.evaluation
        if found and found.step == trainer.step:
            self.history.append(scores_row(found.step, found.epoch, VALIDATION, found.scores, found.seconds))
            if found.train_scores:
                self.history.append(scores_row(found.step, found.epoch, TRAINING, found.train_scores, found.seconds))


class ProgressPicture(Callback):
    """Draws progress.png after each evaluation and at the end of the run, as long as it can be written.

    No step is drawn twice.

    Args:
        folder (RunFolder): the output folder.
        history (History): what to draw; this callback comes after HistoryWriter.
    """

    def __init__(self, folder: RunFolder, history: History) -> None:
        self.folder, self.history = folder, history
        self._file = OptionalFile()
        self._drawn: int | None = None

    def on_save(self, trainer: Trainer) -> None:
        if trainer.evaluation and trainer.evaluation.step == trainer.step:
            self._file.write(self._draw)
            self._drawn = trainer.step

    def on_train_end(self, trainer: Trainer) -> None:
        if self._drawn != trainer.step:
            self._file.write(self._draw)

    def _draw(self) -> None:
        from src.report.figures import progress_png  # matplotlib takes a second to load

        write_atomically(Path(self.folder) / PROGRESS_PNG, progress_png(self.history.curves))


class ReportWriter(Callback):
    """Writes report.html at the end of a run, if it evaluated: about the best evaluation since its start or resume.

    If none of them is the best of the run, the report is about the last one. If it cannot be written, there is a
    warning.

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
            OptionalFile().write(self.write, f"the network after step {self.shown.step}, epoch {self.shown.epoch}, "
                                             f"{which}", self.shown.scores, self.shown.gallery)
