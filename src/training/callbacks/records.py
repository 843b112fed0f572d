"""What a run leaves to look at in its output folder: history.csv, progress.png, report.html."""
from src.model_utils.files import PROGRESS_PNG, write_atomically
from src.report.history import STEP, TRAINING, VALIDATION, Row, scores_row
from src.training.callbacks.callback import Callback


class HistoryWriter(Callback):
    """Writes the rows of history.csv.

    Args:
        history (History): the file.
        rates (np.ndarray): learning rate of each step of the run.
        images_per_step (int): of all ranks.
    """

    def __init__(self, history, rates, images_per_step):
        self.history, self.rates, self.images_per_step = history, rates, images_per_step

    def on_train_begin(self, trainer):
        self.history.start(trainer.step)

    def on_step_done(self, trainer):
        seconds = trainer.wait_seconds + trainer.step_seconds
        self.history.append(Row(trainer.step, trainer.epoch_and_step[0], STEP, trainer.loss,
                                float(self.rates[trainer.step - 1]), seconds, self.images_per_step / seconds,
                                trainer.wait_seconds / seconds))
        self._append_evaluation(trainer)

    def on_train_end(self, trainer):
        self._append_evaluation(trainer)

    def _append_evaluation(self, trainer):
        found = trainer.evaluation
        if found and found.step == trainer.step:
            self.history.append(scores_row(found.step, found.epoch, VALIDATION, found.scores, found.seconds))
            if found.train_scores:
                self.history.append(scores_row(found.step, found.epoch, TRAINING, found.train_scores, found.seconds))


class ProgressPicture(Callback):
    """Draws progress.png behind each evaluation, and at the end of the run.

    Args:
        folder (Path): the output folder.
        history (History): what to draw; this callback comes behind the one that writes it.
    """

    def __init__(self, folder, history):
        self.path, self.history = folder / PROGRESS_PNG, history

    def on_step_done(self, trainer):
        if trainer.evaluation and trainer.evaluation.step == trainer.step:
            self._draw()

    def on_train_end(self, trainer):
        self._draw()

    def _draw(self):
        from src.report.figures import progress_png  # matplotlib takes a second to load

        write_atomically(self.path, progress_png(self.history.rows))


class ReportWriter(Callback):
    """Writes report.html at the end of a run that was evaluated: about the best evaluation since the (last) start.

    Args:
        config (Config): the options of the run.
        device (str): where it runs.
    """

    def __init__(self, config, device):
        self.config, self.device = config, device
        self.shown = None

    def on_step_done(self, trainer):
        self._take(trainer.evaluation)

    def on_train_end(self, trainer):
        self._take(trainer.evaluation)
        if self.shown:
            from src.report.page import ReportInput, write_report

            which = "the best of the run" if self.shown.is_best else "not the best of the run, which came before a stop"
            write_report(self.config, ReportInput("train.py", f"the network behind step {self.shown.step}, epoch "
                                              f"{self.shown.epoch}, {which}", self.device, self.shown.scores,
                                              self.shown.gallery))

    def _take(self, evaluation):
        if evaluation and (evaluation.is_best or not (self.shown and self.shown.is_best)):
            self.shown = evaluation
