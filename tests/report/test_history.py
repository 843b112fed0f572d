"""history.csv: rows, kills and resumed runs."""
import pytest

from src.evaluation.scores import Scores
from src.model_utils.errors import UNetError
from src.report.history import HEADER, STEP, TRAINING, VALIDATION, History, Row, read_history, scores_row


def step(number, loss=0.5):
    return Row(number, 1 + number // 3, STEP, loss, 0.001, 0.25, 8.0, 0.125)


def evaluation(number, kind=VALIDATION, dice=0.75):
    return Row(number, 1, kind, seconds=2.0, dice_coeff=dice, iou=0.5, acc=0.5, hard_iou=0.5, hard_dice=0.5, sens=0.5,
               spec=0.5)


@pytest.fixture
def history(tmp_path):
    history = History(tmp_path)
    history.start(0)
    for row in (step(1), step(2), evaluation(2), evaluation(2, TRAINING), step(3), step(4), evaluation(4)):
        history.append(row)
    return history


def test_the_file_has_a_header_and_a_row_for_each_event(history):
    lines = history.path.read_text().splitlines()
    assert lines[0] == ("step,epoch,kind,loss,learning_rate,seconds,images_per_second,waiting,dice_coeff,iou,acc,"
                        "hard_iou,hard_dice,sens,spec")
    assert lines[1] == "1,1,step,0.5,0.001,0.25,8,0.125,,,,,,,"
    assert lines[3] == "2,1,validation,,,2,,,0.75,0.5,0.5,0.5,0.5,0.5,0.5"
    assert read_history(history.path) == history.rows


def test_a_resumed_run_writes_no_row_twice(history):
    """The run does the steps after step 2 again; the evaluation of step 2 is in the file already."""
    resumed = History(history.path.parent)
    resumed.start(2)
    assert [(row.step, row.kind) for row in resumed.rows] == [
        (1, STEP), (2, STEP), (2, VALIDATION), (2, TRAINING)]
    resumed.append(evaluation(2))
    for row in (step(3), step(4), evaluation(4)):
        resumed.append(row)
    assert read_history(history.path) == history.rows


def test_a_new_run_begins_the_file_anew(history):
    History(history.path.parent).start(0)
    assert history.path.read_text() == ",".join(HEADER) + "\n"


@pytest.mark.parametrize("rest", ["5,2,step,0.2", "5,2,step,0.25,0.001,0.25,8,0.1,,,,,,,", "\x00\x00", "5,2,st\n"])
def test_half_a_line_of_a_killed_process_is_left_out(history, rest):
    with open(history.path, "a", encoding="utf-8") as file:
        file.write(rest)
    resumed = History(history.path.parent)
    resumed.start(4)
    assert resumed.rows == history.rows
    assert read_history(history.path) == history.rows and history.path.read_text().endswith("\n")


def test_a_missing_file_is_empty_and_an_unreadable_one_an_error(tmp_path):
    assert read_history(tmp_path / "history.csv") == []
    (tmp_path / "history.csv").mkdir()
    with pytest.raises(UNetError, match=r"cannot read .*history\.csv"):
        read_history(tmp_path / "history.csv")


def test_the_row_of_an_evaluation_has_the_means_over_the_images():
    scores = Scores(True, ["a", "b"], [0.5, 1.0], [0.25, 0.75], {},
                    {name: [0.0, 1.0] for name in ("acc", "hard_iou", "hard_dice", "sens", "spec")})
    row = scores_row(7, 2, VALIDATION, scores, 1.5)
    assert (row.dice_coeff, row.iou, row.spec, row.seconds, row.loss) == (0.75, 0.5, 0.5, 1.5, None)
