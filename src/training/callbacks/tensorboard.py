"""TensorBoard event files of a run."""
from pathlib import Path
from typing import Any

from src.report.history import STEP, TRAINING, VALIDATION, History
from src.training.callbacks.callback import Callback
from src.training.trainer import Trainer

MAX_IMAGES = 3

# Kind of a row of history.csv -> group of its scalars in TensorBoard.
GROUPS = {STEP: "steps", VALIDATION: "validation", TRAINING: "validation_on_training_images"}


class TensorBoardLog(Callback):
    """Writes the values of history.csv as scalars, and a few validation images after each evaluation.

    Args:
        folder (Path): folder of the event files.
        history (History): the rows to write; this callback comes after HistoryWriter.
    """

    def __init__(self, folder: Path, history: History) -> None:
        self.folder, self.history = folder, history
        self.writer: Any = None
        self.written = 0

    def on_train_begin(self, trainer: Trainer) -> None:
        from tensorboardX import SummaryWriter  # slow to load, and optional

        self.written = len(self.history.rows)
        # TensorBoard then hides what was written for later steps before the run was stopped.
        self.writer = SummaryWriter(str(self.folder), purge_step=trainer.step + 1)

    def on_save(self, trainer: Trainer) -> None:
        self._write(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        self._write(trainer)

    def close(self) -> None:
        if self.writer:
            self.writer.close()

    def _write(self, trainer: Trainer) -> None:
        rows, self.written = self.history.rows[self.written:], len(self.history.rows)
        for row in rows:
            group = GROUPS[row.kind]
            for name, value in vars(row).items():
                if name not in ("step", "epoch", "kind") and value is not None:
                    self.writer.add_scalar(f"{group}/{name}", value, row.step)
            if row.kind == VALIDATION and trainer.evaluation:
                for image in trainer.evaluation.gallery.first[:MAX_IMAGES]:
                    self.writer.add_image(f"validation/{image.name}", image.overlay, row.step, dataformats="HWC")
                self.writer.flush()
