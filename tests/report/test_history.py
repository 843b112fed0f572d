"""history.csv: rows, kills and resumed runs."""
import pytest

from src.evaluation.scores import Scores
from src.model_utils.errors import UNetError
from src.report.history import (
    HEADER,
    STEP,
    TRAINING,
    VALIDATION,
    History,
    Row,
    RunCurves,
    read_history,
    scores_row,
)
from tests.support.alarm import in_time


def step(number, loss=0.5):
    return Row(number, 1 + number // 3, STEP, loss, 0.001, 0.25, 8.0, 0.125)


def evaluation(number, kind=VALIDATION, dice=0.75):
    return Row(number, 1, kind, seconds=2.0, dice_coeff=dice, iou=0.5, acc=0.5, hard_iou=0.5, hard_dice=0.5, sens=0.5,
               spec=0.5)


ROWS = [step(1), step(2), evaluation(2), evaluation(2, TRAINING), step(3), step(4), evaluation(4)]


def rows_of(history):
    return list(read_history(history.path))


@pytest.fixture
def history(tmp_path):
    history = History(tmp_path)
    history.start(0)
    for row in ROWS:
        history.append(row)
    return history


def test_the_file_has_a_header_and_a_row_for_each_event(history):
    lines = history.path.read_text().splitlines()
    assert lines[0] == ("step,epoch,kind,loss,learning_rate,seconds,images_per_second,waiting,dice_coeff,iou,acc,"
                        "hard_iou,hard_dice,sens,spec,object_accuracy,object_mean_accuracy,object_f1,object_pq")
    assert lines[1] == "1,1,step,0.5,0.001,0.25,8,0.125,,,,,,,,,,,"
    assert lines[3] == "2,1,validation,,,2,,,0.75,0.5,0.5,0.5,0.5,0.5,0.5,,,,"
    assert rows_of(history) == ROWS


def test_files_of_earlier_releases_have_fewer_columns(history):
    lines = [",".join(line.split(",")[:15]) for line in history.path.read_text().splitlines()]
    history.path.write_text("\n".join(lines) + "\n" + "9,4,step,0.5")
    assert rows_of(history) == ROWS


def test_a_resumed_run_writes_no_row_twice(history):
    """The run does the steps after step 2 again; the evaluation of step 2 is in the file already."""
    resumed = History(history.path.parent)
    resumed.start(2)
    assert rows_of(history) == ROWS[:4] and resumed.latest == ROWS[1:4]
    resumed.append(evaluation(2))
    resumed.append(evaluation(2, TRAINING))
    for row in (step(3), step(4), evaluation(4)):
        resumed.append(row)
    assert rows_of(history) == ROWS and resumed.latest == ROWS[-2:]


def test_a_new_run_begins_the_file_anew(history):
    History(history.path.parent).start(0)
    assert history.path.read_text() == ",".join(HEADER) + "\n"


@pytest.mark.parametrize("rest", ["5,2,step,0.2", "5,2,step,0.25,0.001,0.25,8,0.1,,,,,,,", "\x00\x00", "5,2,st\n"])
def test_half_a_line_of_a_killed_process_is_left_out(history, rest):
    with open(history.path, "a", encoding="utf-8") as file:
        file.write(rest)
    resumed = History(history.path.parent)
    resumed.start(4)
    assert rows_of(history) == ROWS and history.path.read_text().endswith("\n")


@pytest.mark.parametrize("line", ["9" * 400, "1" + "0" * 13, "-1", "inf", "nan"])
def test_steps_that_no_run_has(history, line):
    with open(history.path, "a") as file:
        file.write(f"{line},1,step,0.5" + "," * 15 + "\n")
    assert rows_of(history) == ROWS and RunCurves(rows_of(history)).last == step(4)


def test_a_line_without_an_end_is_not_read_whole(history):
    with open(history.path, "a") as file:
        file.truncate(10**12)
    with in_time(10):
        assert rows_of(history) == ROWS


def test_a_missing_file_is_empty_and_an_unreadable_one_an_error(tmp_path):
    assert list(read_history(tmp_path / "history.csv")) == []
    (tmp_path / "history.csv").mkdir()
    with pytest.raises(UNetError, match=r"cannot read .*history\.csv"):
        list(read_history(tmp_path / "history.csv"))


def test_curves_have_a_bounded_number_of_points(history):
    """1, 2, 3, ... as the losses of 3,500 steps: points are means over 4 of them, the last over what is left."""
    curves = RunCurves(step(number, float(number)) for number in range(1, 3504))
    steps, losses = curves.points(STEP, "loss")
    assert len(steps) == 876 and steps == losses
    assert losses[:2] == [2.5, 6.5] and losses[-1] == pytest.approx((3501 + 3502 + 3503) / 3)
    assert (curves.last.step, curves.seconds) == (3503, 3503 * 0.25)
    assert curves.points(VALIDATION, "loss") == ([], [])


def test_curves_of_a_resumed_run_are_those_of_a_whole_one(history):
    resumed = History(history.path.parent)
    resumed.start(4)
    for kind, name in ((STEP, "loss"), (VALIDATION, "dice_coeff"), (TRAINING, "iou")):
        assert resumed.curves.points(kind, name) == history.curves.points(kind, name)
    assert history.curves.points(VALIDATION, "dice_coeff") == ([2, 4], [0.75, 0.75])


def test_the_row_of_an_evaluation_has_the_means_over_the_images():
    scores = Scores(True, ["a", "b"], [0.5, 1.0], [0.25, 0.75], {},
                    {name: [0.0, 1.0] for name in ("acc", "hard_iou", "hard_dice", "sens", "spec")})
    row = scores_row(7, 2, VALIDATION, scores, 1.5)
    assert (row.dice_coeff, row.iou, row.spec, row.seconds, row.loss) == (0.75, 0.5, 0.5, 1.5, None)
