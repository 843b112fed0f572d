"""quickstart.sh on one's own images, with a recording stand-in for Python."""
import os
from pathlib import Path

import pytest

from tests.support.scripts import PROJECT, SCRIPTS, bash

# Copies of the script and its library find their environment, and a Python that records what it is called with.
PYTHON = """#!/usr/bin/env bash
echo "$*" >> "$RECORDS"
case "$*" in
  *src.planning.unlabelled*) echo "${UNLABELLED:-0}" ;;
  train.py*)
    mkdir -p "$OUT/checkpoint/ckpt_0"
    echo "target: ${TARGET:-mask}" > "$OUT/config.yaml"
    touch "$OUT/checkpoint/ckpt_0/${CHECKPOINT:-best.ckpt}" ;;
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
    auto = f"--config_path=auto --data_path={tmp_path / 'data'} --save_path={out}/prepared"
    check = f"--output_path={out}/check --check=True --report=True"
    assert commands[0] == f"preprocess_dataset.py --minutes=3 {auto} {check}"
    assert commands[1] == f"train.py --minutes=3 {auto} --output_path={out} --overwrite=True"
    assert commands[2].endswith("--object_metrics=True") and commands[4].endswith("--objects=True")
    assert "2 images without masks" in result.stdout


def test_without_validation_and_without_further_images(quickstart, tmp_path):
    result, commands = quickstart("-d", "data", "--output_path=out", CHECKPOINT="ckpt_unet_simple_adam-1_9.ckpt")
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in commands] == ["preprocess_dataset.py", "train.py", "-m"]
    assert "ckpt_unet_simple_adam-1_9.ckpt" in result.stdout and "0 images without masks" in result.stdout
