"""quickstart.sh, with a recording stand-in for Python."""
import os
import sys
from pathlib import Path

import pytest

from tests.support.scripts import PROJECT, SCRIPTS, bash

# Copies of the script and its library find their environment, and a Python that records what it is called with.
PYTHON = f"""#!/usr/bin/env bash
if [[ "$1" == */option_values.py ]]; then exec "{sys.executable}" "{PROJECT}/$@"; fi
""" + """echo "$*" >> "$RECORDS"
echo "$UNET_CALLED_FROM" > "$RECORDS.from"
case "$*" in
  *src.planning.unlabelled*) echo "${UNLABELLED:-0}" ;;
  train.py*)
    if [[ "$*" == *--dry_run* ]]; then exit; fi
    mkdir -p "$OUT/checkpoint/ckpt_0"
    echo "target: ${TARGET:-mask}" > "$OUT/config.yaml"
    if [[ "${CHECKPOINT:-best.ckpt}" != none ]]; then touch "$OUT/checkpoint/ckpt_0/${CHECKPOINT:-best.ckpt}"; fi ;;
esac
"""


@pytest.fixture
def quickstart(tmp_path):
    """Run a copy of the script on a folder; returns the commands that it called."""
    project = tmp_path / "project"
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / "scripts").mkdir()
    for name in ("quickstart.sh", "lib"):
        os.symlink(SCRIPTS / name, project / "scripts" / name) if name == "lib" else (
            project / "scripts" / name).write_bytes((SCRIPTS / name).read_bytes())
    (project / "scripts" / "lib").unlink()
    (project / "scripts" / "lib").mkdir()
    for path in (SCRIPTS / "lib").glob("*.sh"):
        (project / "scripts" / "lib" / path.name).write_bytes(path.read_bytes())
    for target in (project, project / ".venv"):
        (target / ("requirements.txt" if target == project else "installed-requirements.txt")).write_bytes(
            (PROJECT / "requirements.txt").read_bytes())
    python = project / ".venv" / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    (tmp_path / "data").mkdir()

    def call(*argv, **environment):
        records = tmp_path / "records"
        records.unlink(missing_ok=True)
        result = bash(project / "scripts" / "quickstart.sh", *argv, cwd=tmp_path, RECORDS=str(records),
                      OUT=str(tmp_path / "out"), **environment)
        lines = records.read_text().splitlines() if records.exists() else []
        return result, [line for line in lines if not line.startswith("-I -m pip")]
    return call


def test_a_folder_that_does_not_exist(quickstart):
    result, commands = quickstart("--data_path=none")
    assert (result.returncode, result.stderr, commands) == (2, "error: --data_path: no such folder: none\n", [])


def test_the_whole_way(quickstart, tmp_path):
    out = tmp_path / "out"
    result, commands = quickstart("--data_path=data", "--output_path=out", "--minutes=3", UNLABELLED="2",
                                  TARGET="boundary")
    assert result.returncode == 0, result.stderr
    scripts = [Path(line.split()[0]).name if line.endswith(".py") or ".py " in line else line.split()[1]
               for line in commands]
    assert scripts == ["preprocess_dataset.py", "train.py", "eval.py", "src.planning.unlabelled", "predict.py"]
    options = f"--save_path={out} --minutes=3 --config_path=auto --data_path={tmp_path / 'data'}"
    check = f"--output_path={out}/check --check=True --report=True"
    assert commands[0] == f"preprocess_dataset.py {options} {check}"
    assert commands[1] == f"train.py {options} --output_path={out} --overwrite=True"
    assert commands[3] == f"-m src.planning.unlabelled {options} --output_path={out}/without_masks"
    assert (tmp_path / "records.from").read_text() == f"{tmp_path}\n"
    assert commands[2].endswith("--object_metrics=True") and commands[4].endswith("--objects=True")
    assert "2 images without masks" in result.stdout


def test_without_validation_and_without_further_images(quickstart, tmp_path):
    result, commands = quickstart("-d", "data", "--output_path=out", CHECKPOINT="ckpt_unet_simple_adam-1_9.ckpt")
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in commands] == ["preprocess_dataset.py", "train.py", "-m"]
    assert "ckpt_unet_simple_adam-1_9.ckpt" in result.stdout and "0 images without masks" in result.stdout


def test_a_training_that_leaves_no_checkpoint(quickstart, tmp_path):
    result, commands = quickstart("--data_path=data", "--output_path=out", CHECKPOINT="none")
    assert result.returncode == 1 and "Done" not in result.stdout and len(commands) == 2
    assert result.stderr.startswith(f"error: the training has left no checkpoint in {tmp_path}/out/checkpoint/ckpt_0;")


@pytest.mark.parametrize("asked", [["--dry_run=yes"], ["--dry_run"], ["--dry_run", "True"]])
def test_a_dry_run_ends_after_the_choices(quickstart, tmp_path, asked):
    result, commands = quickstart("--data_path=data", *asked, "--output_path=out")
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "")
    assert commands == [f"train.py --save_path={tmp_path}/out {' '.join(asked)} --config_path=auto "
                        f"--data_path={tmp_path}/data --output_path={tmp_path}/out"]


@pytest.mark.parametrize("output, sample", [
    (["--output_path=out"], []), (["--output_path", "out"], ["--sample", "cells"]),
    (["--output=out"], ["--sample=cells"]), (["--output", "out"], [])])
def test_the_sample_goes_where_output_path_says(quickstart, tmp_path, output, sample):
    result, commands = quickstart(*output, *sample)
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in commands] == ["-m", "train.py", "eval.py", *["predict.py"] * bool(sample)]
    assert all(f"--output_path={tmp_path}/out" in line for line in commands[1:])
    assert f"checkpoint: {tmp_path}/out/checkpoint/ckpt_0/best.ckpt" in result.stdout


def test_two_words_and_one_are_the_same(quickstart, tmp_path):
    _, commands = quickstart("--data_path=data", "--output_path=out")
    for data in ("-d", "--data_path"):
        assert quickstart(data, "data", "--output_path", "out")[1] == commands


@pytest.mark.parametrize("argv, message", [
    (["--data_path"], "--data_path: expected a value after it"), (["-d"], "-d: expected a value after it"),
    (["--output_path"], "--output_path: expected a value after it"),
    (["--data_path="], "--data_path=: expected a folder"),
    (["--data_url=data"], "--data_url=data: not an option here; give the folder of your data with --data_path"),
    (["--data_url", "data"], "--data_url: not an option here; give the folder of your data with --data_path"),
    (["-d", "data", "--sample=cells"], "--sample=cells and --data_path=data: give one of them"),
    (["-d", "data", "--dry_rum=True"], "command line: unknown option --dry_rum; did you mean --dry_run?")])
def test_wrong_use(quickstart, argv, message):
    result, commands = quickstart(*argv)
    assert (result.returncode, result.stdout, commands) == (2, "", []) and result.stderr == f"error: {message}\n"
