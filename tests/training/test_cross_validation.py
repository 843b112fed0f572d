"""train_folds.py: every fold in turn, killed and resumed; options that it refuses."""
import itertools
import json
import os
import re
import shutil
import signal

import pytest
import yaml

from src.data.splits import read_splits
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training.cross_validation import run_folds
from src.training.fold_results import write_results
from tests.support.data import write_pairs
from tests.support.scripts import run, start

# Two steps of two images a fold, in a mode without compiling, which would take longer than the steps.
SMALL = ["--model_name=unet_simple", "--dataset=folders", "--num_channels=3", "--image_size=[16,16]", "--batch_size=2",
         "--repeat=2", "--epochs=2", "--save_checkpoint_steps=1", "--context_mode=pynative", "--cpu_ops=off",
         "--check_dataset=False", "--folds=2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("data"), ["a", "b", "c", "d"], size=(24, 24))


def read(path):
    return json.loads(path.read_text())


@pytest.mark.slow
def test_a_killed_run_resumes_with_the_same_command(light_runs, data, tmp_path):
    """SIGKILL after fold 1; the same command keeps fold 1, resumes in fold 2, and makes the table."""
    out = tmp_path / "with space"
    argv = [*SMALL, f"--data_path={data}", f"--output_path={out}"]
    process = start("train_folds.py", *argv, cwd=tmp_path)
    log = list(itertools.takewhile(lambda line: "Fold 2 of 2" not in line, process.stdout))
    process.kill()
    assert process.wait() == -signal.SIGKILL, "".join(log)
    process.stdout.read()       # to its end: the fold's process is gone too
    # Fold 2 is half done: a checkpoint after step 1, copied from fold 1 to save the time of training it.
    name = "ckpt_unet_simple_adam-1_1.ckpt"
    place = out / "fold_2" / "checkpoint" / "ckpt_0"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(out / "fold_1" / "checkpoint" / "ckpt_0" / name, place)
    first = read(out / "folds.json")
    assert (first["folds"], first["finished"]) == (2, 1)
    assert "not finished" in (out / "folds.md").read_text()
    files = {path: path.stat().st_mtime_ns for path in (out / "fold_1").rglob("*")}

    result = run("train_folds.py", *argv, cwd=tmp_path)
    assert result.returncode == 0 and result.stderr == "", result.stdout + result.stderr
    assert f"finished before: {out / 'fold_1'}\n" in result.stdout
    assert f"resuming from {place / name}: it holds the network, Adam's moments" in result.stdout
    assert "step: 2," in result.stdout and "step: 1," not in result.stdout
    assert {path: path.stat().st_mtime_ns for path in (out / "fold_1").rglob("*")} == files
    assert sorted(os.listdir(out)) == ["fold_1", "fold_2", "folds.json", "folds.md"]

    found = read(out / "folds.json")
    assert found["results"][0] == first["results"][0] and found["finished"] == 2
    dice = [read(out / f"fold_{number}" / "metrics.json")["soft"]["dice_coeff"] for number in (1, 2)]
    assert [item["scores"]["soft Dice"] for item in found["results"]] == dice
    assert found["scores"]["soft Dice"]["mean"] == pytest.approx(sum(dice) / 2)
    assert found["scores"]["soft Dice"]["standard_deviation"] == pytest.approx(abs(dice[0] - dice[1]) / 2 ** 0.5)
    table = [line for line in (out / "folds.md").read_text().splitlines() if line.startswith("|")]
    assert len(table) == 5 and "\n".join(table) in result.stdout
    assert f"{dice[1]:.4f}" in table[3] and f"{sum(dice) / 2:.4f} ± " in table[4]
    for number in (1, 2):
        folder = out / f"fold_{number}"
        assert {"config.yaml", "history.csv", "metrics.json", "report.html", "splits.json"} <= {*os.listdir(folder)}
        assert [len(part) for part in read_splits(folder / "splits.json")] == [2, 2]
    assert read_splits(out / "fold_1" / "splits.json")[0] == read_splits(out / "fold_2" / "splits.json")[1]


@pytest.fixture
def begun(data, tmp_path):
    """Options of a run, and its folder with a first fold that is finished and a second that is begun; in short."""
    out = tmp_path / "out"
    argv = [*SMALL, f"--data_path={data}", f"--output_path={out}"]
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.training.fold_run.ChildProcess.run", lambda _, command: calls.append(command) or 9)
        assert run_folds(parse_options(argv, "")) == 9
    assert [os.path.basename(word) for word in calls[0][1:]] == ["train.py", "config.yaml"]
    checkpoints = out / "fold_1" / "checkpoint" / "ckpt_0"
    checkpoints.mkdir(parents=True)
    (checkpoints / "ckpt_unet_simple_adam-1_3.ckpt").touch()
    (out / "fold_1" / "metrics.json").write_text("{}")
    validation = read_splits(out / "fold_1" / "splits.json")[1]
    write_results(out, "", {1: {"fold": 1, "validation_samples": validation, "minutes": 1, "scores": {"IoU": 0.5}}}, 2)
    return argv, out


def commands(monkeypatch, argv, *statuses):
    """The commands of a run whose processes end with ``statuses``."""
    calls, left = [], iter(statuses)
    monkeypatch.setattr("src.training.fold_run.ChildProcess.run",
                        lambda _, command: calls.append(command[1:]) or next(left))
    status = run_folds(parse_options(argv, ""))
    return status, [[os.path.basename(words[0]), *words[1:]] for words in calls]


def test_what_is_run(begun, monkeypatch):
    argv, out = begun
    config = f"--config_path={out}/fold_2/config.yaml"
    assert commands(monkeypatch, argv, 143) == (143, [["train.py", config]])
    options = yaml.safe_load((out / "fold_2" / "config.yaml").read_text())
    assert (options["output_path"], options["splits"]) == (f"{out}/fold_2", f"{out}/fold_2/splits.json")
    checkpoint = out / "fold_2" / "checkpoint" / "ckpt_0" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    again = ["--transfer_training=False", "--resume=True", "--resume_ckpt=auto"]
    assert commands(monkeypatch, argv, 0, 2) == (2, [["train.py", config, *again], [
        "eval.py", config, "--report=True", f"--checkpoint_file_path={checkpoint}"]])
    # A fold that was stopped before its first checkpoint begins anew, with what says how it is started.
    checkpoint.unlink()
    (out / "fold_2" / "history.csv").touch()
    assert commands(monkeypatch, [*argv, "--device_target=CPU", "--transfer_training=True", "--resume_ckpt=x.ckpt"],
                    5)[1] == [["train.py", config, "--device_target=CPU", "--resume_ckpt=x.ckpt",
                               "--transfer_training=True", "--overwrite=True"]]
    # Without its own files too.
    (out / "fold_1" / "metrics.json").unlink()
    assert commands(monkeypatch, argv, 5)[1][0][:2] == ["train.py", f"--config_path={out}/fold_1/config.yaml"]


def test_scores_without_checkpoints_are_of_their_options(begun):
    argv, out = begun
    for path in out.rglob("*.ckpt"):
        path.unlink()
    with pytest.raises(UNetError, match="fold_1/config.yaml: this fold was begun with lr 0.0001 and not 0.5"):
        run_folds(parse_options([*argv, "--lr=0.5"], ""))


@pytest.mark.parametrize("more, part", [
    (["--lr=0.5", "--log_interval=7"], "config.yaml: this fold was begun with lr 0.0001 and not 0.5; give the same"),
    (["--folds=3"], "this fold was begun with folds 2 and not 3"),
    (["--checkpoint_path=./other/"], "this fold was begun with checkpoint_path ./checkpoint/ and not ./other/"),
    (["--tta=True"], "this fold was begun with tta False and not True"),
    (["--seed=4"], "this fold was begun with seed 1 and not 4"),
    (["--resume=True"], "resume is True, but train_folds.py resumes by itself"),
    (["--overwrite=True"], "overwrite is True, but train_folds.py keeps the folds that are finished; remove "),
    (["--run_distribute=True"], "run_distribute is True, but train_folds.py trains a fold in one process"),
    (["--checkpoint_path=/elsewhere"], "checkpoint_path /elsewhere leads out of output_path "),
    (["--checkpoint_path=../x"], "checkpoint_path ../x leads out of output_path "),
])
def test_refusals(begun, more, part):
    argv, out = begun
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UNetError, match=re.escape(part)):
        run_folds(parse_options([*argv, *more], ""))
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_other_data(begun, tmp_path):
    argv, _ = begun
    data = write_pairs(tmp_path / "other", ["a", "b", "c", "e"], size=(24, 24))
    with pytest.raises(UNetError, match="splits.json: this fold was begun on other samples than"):
        run_folds(parse_options([*argv, f"--data_path={data}"], ""))


def test_five_folds_of_stacks_go_by_cross_valid_ind(sample, tmp_path, monkeypatch):
    argv = [f"--data_path={sample}", f"--output_path={tmp_path / 'out'}", "--image_size=[96,96]"]
    assert commands(monkeypatch, argv, 130)[0] == 130
    options = yaml.safe_load((tmp_path / "out" / "fold_1" / "config.yaml").read_text())
    assert (options["cross_valid_ind"], options["splits"], options["folds"]) == (1, "", 5)


def test_one_line_for_wrong_usage(tmp_path):
    result = run("train_folds.py", "--data_path=/none", cwd=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1) and "no such data folder: /none" in result.stderr
    assert os.listdir(tmp_path) == []
