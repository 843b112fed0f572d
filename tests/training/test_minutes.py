"""Runs whose length is given in minutes: nothing of the trial is left in them, and they resume as they began."""
import re

import mindspore as ms
import pytest
import yaml

from src.model_utils.errors import UNetError
from src.training import run as training
from src.training.run_length import Costs
from tests.training.test_run_folder import TINY, go  # noqa: F401 - go is a fixture

pytestmark = pytest.mark.slow

LAST = "checkpoint/ckpt_0/ckpt_unet_simple_adam-{}.ckpt"
COSINE = ["--lr_schedule=cosine", "--eval_steps=3", "--save_checkpoint_steps=2"]


def parameters(path):
    return {name: value.asnumpy().tobytes() for name, value in ms.load_checkpoint(str(path)).items()
            if not isinstance(value, str)}


@pytest.fixture
def seven_steps(monkeypatch):
    """Whatever was measured, seven steps fit."""
    monkeypatch.setattr(training, "fit", lambda config, costs, schedule, used: {"total_steps": 7})


def without_epochs(argv):
    return [word for word in argv if not word.startswith("--epochs")]


@pytest.fixture
def train(go):  # noqa: F811 - the fixture
    return lambda *argv, **more: go(*argv, base=[*without_epochs(TINY), *COSINE], **more)


def test_a_run_is_that_of_the_number_of_steps(train, seven_steps, tmp_path):
    """Two steps make an epoch, so the run ends inside the fourth."""
    train("--output_path=minutes", "--minutes=3")
    train("--output_path=steps", "--total_steps=7")
    name = LAST.format("4_1")
    assert parameters(tmp_path / "minutes" / name) == parameters(tmp_path / "steps" / name)
    options = yaml.safe_load((tmp_path / "minutes" / "config.yaml").read_text())
    assert (options["minutes"], options["total_steps"]) == (3.0, 7)


@pytest.mark.parametrize("resume", [
    ["--minutes=3", "--output_path=stopped"], ["--config_path=stopped/config.yaml"]])
def test_a_stopped_run_resumes_with_its_steps(train, seven_steps, tmp_path, monkeypatch, resume):
    train("--output_path=whole", "--total_steps=7")
    left = iter([False] * 3)
    train("--output_path=stopped", "--minutes=3", interrupted=lambda: next(left, True))
    assert not (tmp_path / "stopped" / LAST.format("4_1")).exists()
    monkeypatch.setattr(training, "try_out", lambda *args: pytest.fail("the length is known"))
    log = train("--resume=True", "--resume_ckpt=auto", *resume)
    assert parameters(tmp_path / "stopped" / LAST.format("4_1")) == parameters(tmp_path / "whole" / LAST.format("4_1"))
    assert not any("WARNING" in line for line in log), log


def test_the_length_is_measured(train, tmp_path):
    """The run is stopped after its first step: those that are counted for it would take the minute."""
    log = train("--output_path=out", "--minutes=1", interrupted=lambda: True)
    (line,) = [line for line in log if "steps fit" in line]
    steps = int(re.match(r"1 minutes: (\d+) steps fit", line)[1])
    assert yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())["total_steps"] == steps
    assert f"{steps} steps of 4 images" in "\n".join(log)


def test_too_few_minutes_leave_no_run(train, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "try_out", lambda *args: Costs(100, 1, 1))
    with pytest.raises(UNetError, match="minutes 1 is too short"):
        train("--output_path=out", "--minutes=1")
    assert not list(tmp_path.glob("out/checkpoint/*/*.ckpt"))
    assert not (tmp_path / "out" / "run.json").exists()         # so the next start takes this folder, not out_2
