"""folds.json and folds.md: what a fold's own files say, mean and standard deviation."""
import json
import statistics

import pytest

from src.data.folds import Fold
from src.model_utils.errors import UNetError
from src.report.history import STEP, TRAINING, VALIDATION, History, Row
from src.training.fold_results import fold_checkpoints, read_result, read_results, summary, table, write_results


def result(number, dice, iou, minutes=1.0):
    return {"fold": number, "checkpoint": f"fold_{number}/best.ckpt", "training_samples": 4,
            "validation_samples": ["a", "b"], "minutes": minutes, "scores": {"soft Dice": dice, "IoU": iou}}


def test_mean_and_standard_deviation():
    """0.8, 0.9, 1.0: mean 0.9, deviation sqrt((0.01 + 0 + 0.01) / 2) = 0.1; a class that is nowhere has no IoU."""
    found = summary({1: result(1, 0.8, 0.5, 2.0), 2: result(2, 0.9, None, 4.0), 3: result(3, 1.0, 0.7, 6.0)})
    assert list(found) == ["soft Dice", "IoU", "minutes"]
    assert found["soft Dice"] == pytest.approx((0.9, 0.1))
    assert found["IoU"] == pytest.approx((0.6, statistics.stdev([0.5, 0.7])))
    assert found["minutes"] == pytest.approx((4.0, 2.0))
    assert summary({1: result(1, 0.8, None)}) == {"soft Dice": (0.8, None), "IoU": (None, None), "minutes": (1.0, None)}


def test_table():
    assert table({1: result(1, 0.8, 0.5), 3: result(3, 0.9, None, 2.0)}, 3) == [
        "| fold                      | images       | soft Dice       | IoU        | minutes   |",
        "|---------------------------|--------------|-----------------|------------|-----------|",
        "| 1                         | 2            | 0.8000          | 0.5000     | 1.0       |",
        "| 2                         | not finished |                 |            |           |",
        "| 3                         | 2            | 0.9000          | -          | 2.0       |",
        "| mean ± standard deviation | 4            | 0.8500 ± 0.0707 | 0.5000 ± - | 1.5 ± 0.7 |"]


def test_written_and_read(tmp_path):
    assert read_results(tmp_path) == ({}, 0)
    results = {2: result(2, 0.9, 0.5), 1: result(1, 0.8, None)}
    write_results(tmp_path, "net on data: 3 folds", results, 3)
    assert read_results(tmp_path) == (results, 3)
    found = json.loads((tmp_path / "folds.json").read_text())
    assert (found["folds"], found["finished"], [item["fold"] for item in found["results"]]) == (3, 2, [1, 2])
    assert found["scores"]["soft Dice"] == pytest.approx({"mean": 0.85, "standard_deviation": 0.0707107})
    text = (tmp_path / "folds.md").read_text()
    assert text.startswith("# net on data: 3 folds\n\n| fold ") and "n - 1 in the denominator" in text


@pytest.mark.parametrize("text", ["", "[]", '{"folds": 2}', '{"folds": 2, "results": [{"fold": 1}]}', "[" * 10**5,
                                  '{"folds": 2, "results": [{"fold": 1, "scores": {"IoU": "x"}, "minutes": 1}]}'])
def test_another_file(tmp_path, text):
    (tmp_path / "folds.json").write_text(text)
    with pytest.raises(UNetError, match="folds.json: "):
        read_results(tmp_path)


def test_result_of_a_fold(tmp_path):
    folder = tmp_path / "fold_2"
    history = History(folder)
    history.start(0)
    for row in (Row(1, 1, STEP, seconds=60.0), Row(1, 1, VALIDATION, seconds=30.0), Row(1, 1, TRAINING, seconds=30.0)):
        history.append(row)
    metrics = {"soft": {"dice_coeff": 0.5, "iou": 0.25},
               "isbi_board": {"V_rand": {"value": 0.9}, "V_info": {"value": 1}},
               "hard": {"IoU": {"foreground": 0.75, "mean": 0.5}, "Dice": {"foreground": None}}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    found = read_result(Fold(2, ["a", "b", "c"], ["d"]), folder, folder / "checkpoint" / "best.ckpt")
    assert found == {"fold": 2, "checkpoint": "fold_2/checkpoint/best.ckpt", "training_samples": 3,
                     "validation_samples": ["d"], "minutes": 1.5,
                     "scores": {"soft Dice": 0.5, "soft IoU": 0.25, "Dice": None, "IoU": 0.75, "mean IoU": 0.5,
                                "V_rand": 0.9, "V_info": 1}}
    del metrics["isbi_board"]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert "V_rand" not in read_result(Fold(2, [], []), folder, folder / "best.ckpt")["scores"]


def test_checkpoints_of_folds(tmp_path):
    """The best, else the newest; in the order of the numbers."""
    name = "ckpt_unet_simple_adam-1_"
    for number, names in ((10, ["best.ckpt"]), (2, [f"{name}9.ckpt", f"{name}10.ckpt"]),
                          (1, [f"{name}9.ckpt", "best.ckpt"])):
        folder = tmp_path / f"fold_{number}" / "checkpoint" / "ckpt_0"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).touch()
    found = fold_checkpoints(tmp_path, "./checkpoint/", "unet_simple")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "fold_1/checkpoint/ckpt_0/best.ckpt", "fold_2/checkpoint/ckpt_0/ckpt_unet_simple_adam-1_10.ckpt",
        "fold_10/checkpoint/ckpt_0/best.ckpt"]
    with pytest.raises(UNetError, match=r"fold_2/checkpoint/ckpt_0: no checkpoint of unet_nested; wait until"):
        fold_checkpoints(tmp_path, "./checkpoint/", "unet_nested")
    with pytest.raises(UNetError, match="without fold_1, fold_2"):
        fold_checkpoints(tmp_path / "fold_1", "./checkpoint/", "unet_simple")
