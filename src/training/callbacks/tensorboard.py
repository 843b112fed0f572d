"""TensorBoard event files of a run."""
from src.report.history import STEP, TRAINING, VALIDATION
from src.training.callbacks.callback import Callback

MOST_PICTURES = 3

# What TensorBoard groups the scalars of a row by.
GROUPS = {STEP: "steps", VALIDATION: "validation", TRAINING: "validation_on_training_images"}


class TensorBoardLog(Callback):
    """Writes what history.csv holds as scalars, and a few validation images at each evaluation.

    Args:
        folder (Path): where the event files go.
        history (History): rows of the run; this callback comes behind the one that writes them.
    """

    def __init__(self, folder, history):
        self.folder, self.history = folder, history
        self.writer, self.written = None, 0

    def on_train_begin(self, trainer):
        from tensorboardX import SummaryWriter  # takes its time; only for those who ask for it

        self.written = len(self.history.rows)
        # TensorBoard hides what an earlier start wrote from this step on.
        self.writer = SummaryWriter(str(self.folder), purge_step=trainer.step + 1)

    def on_step_done(self, trainer):
        self._write(trainer)

    def on_train_end(self, trainer):
        self._write(trainer)

    def close(self):
        if self.writer:
            self.writer.close()

    def _write(self, trainer):
        rows, self.written = self.history.rows[self.written:], len(self.history.rows)
        for row in rows:
            group = GROUPS[row.kind]
            for name, value in vars(row).items():
                if name not in ("step", "epoch", "kind") and value is not None:
                    self.writer.add_scalar(f"{group}/{name}", value, row.step)
            if row.kind == VALIDATION:
                for picture in trainer.evaluation.gallery.first[:MOST_PICTURES]:
                    self.writer.add_image(f"validation/{picture.name}", picture.overlay, row.step, dataformats="HWC")
                self.writer.flush()
