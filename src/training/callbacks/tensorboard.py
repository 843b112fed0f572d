"""TensorBoard event files of a run."""
import secrets
import time
from pathlib import Path
from typing import Any

from src.model_utils.files import TENSORBOARD, OptionalFile, make_folder, writing
from src.report.history import STEP, TRAINING, VALIDATION, History, Row
from src.training.callbacks.callback import Callback
from src.training.run_folder import RunFolder
from src.training.trainer import Trainer

MAX_IMAGES = 3

# Kind of a row of history.csv -> group of its scalars in TensorBoard.
GROUPS = {STEP: "steps", VALIDATION: "validation", TRAINING: "validation_on_training_images"}


class EventFile:
    """An event file, which is written while its caller waits.

    ``tensorboardX.SummaryWriter`` writes in a thread. That dies on a full disk, and the run would wait for it for ever.

    Args:
        folder (Path): holds the event files of a run.
        first_step (int): TensorBoard hides what other files of the folder hold from this step on.

    Raises:
        UNetError: the file cannot be written; so do the methods.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter  # slow to load, and optional
        from tensorboardX.proto.event_pb2 import SessionLog

        self.folder = folder
        with writing(folder):
            make_folder(folder)
            # The writer follows links. Nobody can guess the name, so nobody can have put a link there.
            self._writer = EventsWriter(str(folder / "events"), f".{secrets.token_hex(8)}")
        self._add(first_step, session_log=SessionLog(status=SessionLog.START))
        self.flush()

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Add a value at a step."""
        from tensorboardX import summary

        self._add(step, summary=summary.scalar(name, value))

    def add_image(self, name: str, pixels: Any, step: int) -> None:
        """Add a picture at a step, (H, W, 3) uint8."""
        from tensorboardX import summary

        self._add(step, summary=summary.image(name, pixels, dataformats="HWC"))

    def flush(self) -> None:
        """Bring what has been added to the disk."""
        with writing(self.folder):
            self._writer.flush()

    def close(self) -> None:
        """Flush and close the file."""
        with writing(self.folder):
            self._writer.close()

    def _add(self, step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with writing(self.folder):
            self._writer.write_event(Event(wall_time=time.time(), step=step, **content))


class TensorBoardLog(Callback):
    """Writes the values of history.csv as scalars, and a few validation images after each evaluation.

    If they cannot be written, there is a warning, and the run goes on without them.

    Args:
        folder (RunFolder): the output folder.
        history (History): the rows to write; this callback comes after HistoryWriter.
    """

    def __init__(self, folder: RunFolder, history: History) -> None:
        self.folder, self.history = folder, history
        self.written: list[Row] = []
        self._file: EventFile | None = None
        self._optional = OptionalFile()

    def on_train_begin(self, trainer: Trainer) -> None:
        self.written = self.history.latest
        self._optional.write(self._open, trainer.step + 1)

    def on_save(self, trainer: Trainer) -> None:
        self._optional.write(self._write, trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        self._optional.write(self._write, trainer)

    def close(self) -> None:
        if self._file:
            self._optional.write(self._file.close)

    def _open(self, first_step: int) -> None:
        self._file = EventFile(Path(self.folder) / TENSORBOARD, first_step)

    def _write(self, trainer: Trainer) -> None:
        assert self._file is not None, "on_train_begin comes first"
        rows = [row for row in self.history.latest if row not in self.written]
        self.written = self.history.latest
        for row in rows:
            group = GROUPS[row.kind]
            for name, value in vars(row).items():
                if name not in ("step", "epoch", "kind") and value is not None:
                    self._file.add_scalar(f"{group}/{name}", value, row.step)
            if row.kind == VALIDATION and trainer.evaluation:
                for image in trainer.evaluation.gallery.first[:MAX_IMAGES]:
                    self._file.add_image(f"validation/{image.name}", image.overlay, row.step)
                self._file.flush()
