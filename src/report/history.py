"""history.csv: a row for each step and each evaluation of a run."""
import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from src.evaluation.metrics import METRIC_NAMES
from src.evaluation.scores import Scores
from src.model_utils.errors import UNetError
from src.model_utils.files import HISTORY_CSV, write_atomically

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
        dice_coeff, iou, acc, hard_iou, hard_dice, sens, spec: see ``src.evaluation.metrics.METRIC_NAMES``.
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


HEADER = [field.name for field in fields(Row)]


def read_history(path: str | Path) -> list[Row]:
    """Read the rows of a file up to the first incomplete one; a missing file has no rows.

    Raises:
        UNetError: the file exists and cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise UNetError(f"cannot read {path}: {error}") from None
    rows = []
    # A killed process may leave half a line at the end.
    for cells in csv.reader(io.StringIO(text[:text.rfind("\n") + 1])):
        if cells == HEADER:
            continue
        try:
            step, epoch, kind, *numbers = cells
            if len(cells) != len(HEADER) or kind not in (STEP, VALIDATION, TRAINING):
                break
            rows.append(Row(int(step), int(epoch), kind, *(float(cell) if cell else None for cell in numbers)))
        except ValueError:
            break
    return rows


class History:
    """Writes history.csv row by row, so that a killed run leaves the rows of all its steps.

    Args:
        folder (str | Path): the output folder.

    Attributes:
        path (Path): the file.
        rows (list[Row]): all rows of the file.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / HISTORY_CSV
        self.rows: list[Row] = []

    def start(self, step: int) -> None:
        """Begin the file for a run that starts at ``step``, 0 for a new one.

        A resumed run keeps the rows up to its step; it does the later steps again.
        """
        self.rows = [row for row in read_history(self.path) if row.step <= step] if step else []
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows([HEADER, *map(_cells, self.rows)])
        write_atomically(self.path, lines.getvalue().encode())

    def append(self, row: Row) -> None:
        """Add a row, unless it is an evaluation that the file has already, from before the run was stopped."""
        if row.kind != STEP and any(old.step == row.step and old.kind == row.kind for old in self.rows[-4:]):
            return
        self.rows.append(row)
        try:
            with open(self.path, "a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(_cells(row))
        except OSError as error:
            raise UNetError(f"cannot write {self.path}: {error.strerror}") from None


def _cells(row: Row) -> list[Any]:
    return ["" if value is None else f"{value:.7g}" if isinstance(value, float) else value for value in astuple(row)]


def scores_row(step: int, epoch: int, kind: str, scores: Scores, seconds: float) -> Row:
    """Return the row of an evaluation that took ``seconds``."""
    return Row(step, epoch, kind, seconds=seconds, **{name: scores.metric(name) for name in METRIC_NAMES})
