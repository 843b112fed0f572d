"""history.csv: a row for each step and each evaluation of a run."""
import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from src.evaluation.metrics import METRIC_NAMES
from src.model_utils.errors import UNetError
from src.model_utils.files import HISTORY_CSV, write_atomically

STEP, VALIDATION, TRAINING = "step", "validation", "training"


@dataclass(frozen=True)
class Row:
    """One row. What a row of its kind does not have is None, and an empty cell in the file.

    Attributes:
        step: steps done, from the start of the run.
        epoch: from 1.
        kind: step; or validation and training, an evaluation on those samples behind the step.
        loss: of the step, the mean over the ranks.
        learning_rate: of the step.
        seconds: of the step, the wait for data included; of the evaluation.
        images_per_second: of all ranks, the wait for data included.
        waiting: share of the step's time spent waiting for data, 0 to 1.
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


def read_history(path):
    """The rows of a file, up to the first that is not whole; none where there is no file.

    Raises:
        UNetError: the file is there and cannot be read.
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
    """The file of a run, row by row on the disk as things happen.

    Args:
        folder (Path): the output folder.

    Attributes:
        rows (list[Row]): what the file holds.
    """

    def __init__(self, folder):
        self.path = Path(folder) / HISTORY_CSV
        self.rows = []

    def start(self, step):
        """Begin the file, or keep what an earlier start of the run wrote up to ``step``: the rest is done again."""
        self.rows = [row for row in read_history(self.path) if row.step <= step] if step else []
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows([HEADER, *map(_cells, self.rows)])
        write_atomically(self.path, lines.getvalue().encode())

    def append(self, row):
        """Add a row; an evaluation that is there already, from before the run was stopped, is not added again."""
        if row.kind != STEP and any(old.step == row.step and old.kind == row.kind for old in self.rows[-4:]):
            return
        self.rows.append(row)
        try:
            with open(self.path, "a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(_cells(row))
        except OSError as error:
            raise UNetError(f"cannot write {self.path}: {error.strerror}") from None


def _cells(row):
    return ["" if value is None else f"{value:.7g}" if isinstance(value, float) else value for value in astuple(row)]


def scores_row(step, epoch, kind, scores, seconds):
    """The row of an evaluation's ``Scores``."""
    return Row(step, epoch, kind, seconds=seconds, **{name: scores.metric(name) for name in METRIC_NAMES})
