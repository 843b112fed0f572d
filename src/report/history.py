"""history.csv: a row for each step and each evaluation of a run."""
import io
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from os import PathLike
from pathlib import Path

import numpy as np

from src.evaluation.metrics import METRIC_NAMES
from src.evaluation.scores import Scores
from src.model_utils.claims import MOST_STEPS, claimed_int
from src.model_utils.errors import UNetError
from src.model_utils.files import HISTORY_CSV, replacing, writing
from src.model_utils.inputs import open_input
from src.model_utils.trust import open_unlinked
from src.report.curves import Curve

STEP, VALIDATION, TRAINING = "step", "validation", "training"


@dataclass(frozen=True)
class Row:
    """One row. A value that rows of its kind do not have is None, and an empty cell in the file.

    Attributes:
        step: number of steps done since the start of the run.
        epoch: number of the epoch, from 1.
        kind: step, or an evaluation after that step: validation or training, by the samples that were evaluated.
        loss: loss of the step, the mean over the ranks.
        learning_rate: learning rate of the step.
        seconds: time of the step, including the wait for data; or time of the evaluation.
        images_per_second: images of all ranks per second, including the wait for data.
        waiting: share of the step's time that was spent waiting for data, from 0 to 1.
        dice_coeff, iou, acc, hard_iou, hard_dice, sens, spec, object_accuracy, object_mean_accuracy, object_f1,
            object_pq: see ``src.evaluation.metrics.METRIC_NAMES``.
    """
    step: int
    epoch: int
    kind: str
    loss: float | None = None
    learning_rate: float | None = None
    seconds: float | None = None
    images_per_second: float | None = None
    waiting: float | None = None
    dice_coeff: float | None = None
    iou: float | None = None
    acc: float | None = None
    hard_iou: float | None = None
    hard_dice: float | None = None
    sens: float | None = None
    spec: float | None = None
    object_accuracy: float | None = None
    object_mean_accuracy: float | None = None
    object_f1: float | None = None
    object_pq: float | None = None


MOST_LINE = 10_000      # characters
HEADER = [field.name for field in fields(Row)]


def read_history(path: str | Path) -> Iterator[Row]:
    """Yield the rows of a file up to the first incomplete one; a missing file has no rows.

    Files of earlier releases have fewer columns, those at the beginning.

    Raises:
        UNetError: the file exists and cannot be read.
    """
    columns = len(HEADER)
    try:
        with io.TextIOWrapper(open_input(path), encoding="utf-8", newline="") as file:
            while line := file.readline(MOST_LINE):
                cells = line[:-1].split(",")
                if cells[0] == HEADER[0] and cells == HEADER[:len(cells)]:
                    columns = len(cells)
                    continue
                row = _row(cells) if len(cells) == columns else None
                # A killed process may leave half a line at the end.
                if row is None or not line.endswith("\n"):
                    return
                yield row
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise UNetError(f"cannot read {path}: {error}") from None


def _row(cells: list[str]) -> Row | None:
    """Return the row of these cells; None for cells that are not those of a row."""
    try:
        step, epoch, kind, *numbers = cells
        if kind not in (STEP, VALIDATION, TRAINING):
            return None
        return Row(claimed_int(step, 0, MOST_STEPS, "step"), claimed_int(epoch, 0, MOST_STEPS, "epoch"), kind,
                   *(float(cell) if cell else None for cell in numbers))
    except (ValueError, UNetError):
        return None


class RunCurves:
    """What can be drawn and said of a run from the rows of its history.csv.

    Attributes:
        last: the row of the last training step; None before the first.
        seconds: time of all training steps.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.last: Row | None = None
        self.seconds = 0.0
        self._curves: dict[tuple[str, str], Curve] = defaultdict(Curve)
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Take in the next row."""
        if row.kind == STEP:
            self.last = row
            self.seconds += row.seconds or 0.0
        for name, value in vars(row).items():
            if isinstance(value, float):
                self._curves[row.kind, name].add(row.step, value)

    def points(self, kind: str, name: str) -> tuple[list[float], list[float]]:
        """Return (steps, values) of a column in the rows of a kind; two empty lists if it has no value there."""
        return self._curves[kind, name].points() if (kind, name) in self._curves else ([], [])


class History:
    """Writes history.csv row by row, so that a killed run leaves the rows of all its steps.

    Args:
        folder (str | PathLike): the output folder; its path may change during the run.

    Attributes:
        curves (RunCurves): the curves of its rows.
        latest (list[Row]): the rows of the last step. The others are only in the file.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.folder = folder
        self.curves = RunCurves()
        self.latest: list[Row] = []

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.folder) / HISTORY_CSV

    def start(self, step: int) -> None:
        """Begin the file for a run that starts at ``step``, 0 for a new one.

        A resumed run keeps the rows up to its step; it does the later steps again.
        """
        with replacing(self.path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            file.write(",".join(HEADER) + "\n")
            for row in read_history(self.path) if step else ():
                if row.step <= step:
                    file.write(_line(row))
                    self._take(row)

    def append(self, row: Row) -> None:
        """Add a row, unless the file has it already, perhaps from before the run was stopped."""
        if any((old.step, old.kind) == (row.step, row.kind) for old in self.latest):
            return
        with (writing(self.path),
              os.fdopen(open_unlinked(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "a", encoding="utf-8",
                        newline="") as file):
            file.write(_line(row))
        self._take(row)

    def _take(self, row: Row) -> None:
        self.curves.add(row)
        self.latest = [row] if row.kind == STEP else [*self.latest, row]


def _line(row: Row) -> str:
    return ",".join("" if value is None else f"{value:.7g}" if isinstance(value, float) else str(value)
                    for value in astuple(row)) + "\n"


def scores_row(step: int, epoch: int, kind: str, scores: Scores, seconds: float) -> Row:
    """Return the row of an evaluation that took ``seconds``."""
    values = {name: scores.metric(name) for name in METRIC_NAMES}
    return Row(step, epoch, kind, seconds=seconds, **{name: None if np.isnan(value) else value
                                                      for name, value in values.items()})
