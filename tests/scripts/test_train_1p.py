"""The two launchers of unet_keras on one card, with a recording stand-in for train.py and eval.py."""
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.support.alarm import in_time
from tests.support.scripts import SCRIPT_ENVIRONMENT, SCRIPTS, bash
from tests.support.stand_ins import FIRST_LINES, heed_interrupts

# Writes what train.py would write, with 10 images/s at first, then 20 and 40; saves a checkpoint as DO names it.
STAND_IN = """
import json, os, pathlib, signal, sys
if os.environ.get("DO") == "wait":      # before NumPy starts threads: one that does not block the signal would take it
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
name = os.path.basename(sys.argv[1])
if name not in ("train.py", "eval.py"):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with open(os.environ["RECORDS"], "a") as file:
    file.write(json.dumps([name, sys.argv[2:], os.environ["DEVICE_ID"]]) + "\\n")
if name == "train.py":
    print("step: 1, loss is 0.5")
    output = next(value.split("=", 1)[1] for value in sys.argv if value.startswith("--output_path="))
    sys.path.insert(0, os.path.dirname(sys.argv[1]))
    from src.report.history import STEP, History, Row
    history = History(output)
    history.start(0)
    for step in range(1, int(os.environ.get("DONE_STEPS", 12)) + 1):
        speed = 10 if step <= 5 else 20 if step < 8 else 40
        history.append(Row(step, 1, STEP, 0.5, 0.001, seconds=4 / speed, images_per_second=float(speed),
                           waiting=0.5 if speed == 20 else 0.0))
    path = pathlib.Path(output, "checkpoint", "ckpt_0", os.environ.get("DO", "best.ckpt"))
    path.parent.mkdir(parents=True)
    path.write_text("")
    print(f"checkpoint: {{path}}")
if os.environ.get("DO") == "wait":
    print("waiting", flush=True)
    signal.sigwait([signal.SIGINT])
    for number in range(1000):
        print("last line", number, flush=True)
    sys.exit(130)
if os.environ.get("FAILS") == name:
    sys.exit(3)
"""


@pytest.fixture
def launch(tmp_path):
    """Runs a launcher in a folder with a space in its name; ``calls`` reads what was run."""
    folder = tmp_path / "my runs"
    for part in ("image", "label"):
        (folder / "my data" / "train" / part).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(np.full((8, 8), 255, np.uint8)).save(folder / "my data" / "train" / part / f"{number}.png")
    stand_in = tmp_path / "python"
    stand_in.write_text(FIRST_LINES + STAND_IN.format(python=sys.executable))
    stand_in.chmod(0o755)
    records = tmp_path / "records"
    stand_ins = {"PYTHON": str(stand_in), "RECORDS": str(records)}

    def launch(name, *arguments, **environment):
        return bash(SCRIPTS / f"{name}.sh", *arguments, cwd=folder, **stand_ins, **environment)

    launch.folder, launch.environment = folder, SCRIPT_ENVIRONMENT | stand_ins
    launch.calls = lambda: [json.loads(line) for line in records.read_text().splitlines()]
    return launch


def shared(launch, run, *more):
    return [f"--config_path={SCRIPTS.parent / 'configs' / 'unet_keras_config.yaml'}", *more,
            f"--data_path={launch.folder / 'my data'}", f"--output_path={launch.folder / run / 'output'}"]


@pytest.mark.parametrize("saved", ["best.ckpt", "ckpt_unet_keras_adam-1_2.ckpt"])
def test_full(launch, saved):
    result = launch("train_full_1p", "--data_path=my data", "--lr=0.1", "--device_target=CPU", ASCEND_DEVICE_ID="3",
                    DO=saved)
    assert result.returncode == 0, result.stderr
    given = shared(launch, "train_full_1p_1", "--lr=0.1", "--device_target=CPU")
    path = launch.folder / "train_full_1p_1" / "output" / "checkpoint" / "ckpt_0" / saved
    assert launch.calls() == [["train.py", given, "3"],
                              ["eval.py", [*given, f"--checkpoint_file_path={path}"], "3"]]
    assert "step: 1, loss is 0.5" in result.stdout
    assert "step: 1, loss is 0.5" in (launch.folder / "train_full_1p_1" / "train.log").read_text()


@pytest.mark.slow
def test_performance(launch):
    """The mean of the steps after the first five: two of 200 ms, half of it waiting, and five of 100 ms."""
    result = launch("train_performance_1p", "--data_path=my data", "--batch_size=4")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-2:] == [
        "images per second: 31.11",
        "step time: 128.6 ms, 22% of it waiting for data (batch 4, mean of 7 steps after the first 5)"]
    # 8 of the 10 images train: 25 passes make 50 steps of 4.
    assert launch.calls() == [["train.py", [*shared(launch, "train_performance_1p_1", "--batch_size=4"), "--repeat=25",
                                            "--epochs=25", "--run_eval=False"], "0"]]
    launch("train_performance_1p", "--data_path=my data", STEPS="6")
    assert "--repeat=2" in launch.calls()[1][1] and (launch.folder / "train_performance_1p_2").is_dir()


@pytest.mark.slow
def test_exit_status(launch):
    result = launch("train_full_1p", "--data_path=my data", FAILS="train.py")
    assert result.returncode == 3 and [call[0] for call in launch.calls()] == ["train.py"]
    assert launch("train_full_1p", "--data_path=my data", FAILS="eval.py").returncode == 3
    result = launch("train_performance_1p", "--data_path=my data", FAILS="train.py")
    assert result.returncode == 3 and "images per second" not in result.stdout
    result = launch("train_performance_1p", "--data_path=my data", DONE_STEPS="5")
    assert result.returncode == 2
    assert result.stderr.strip().endswith("history.csv: 5 steps found, expected more than 5; train longer")


@pytest.mark.parametrize("name", ["train_full_1p", "train_performance_1p"])
def test_ctrl_c(launch, name):
    """A terminal sends it to all processes; the last lines of train.py are on the screen and in the log."""
    with subprocess.Popen(["bash", SCRIPTS / f"{name}.sh", "--data_path=my data"], cwd=launch.folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                          preexec_fn=heed_interrupts,     # noqa: PLW1509 - the tests have no threads
                          env=launch.environment | {"DO": "wait"}) as process:
        try:
            with in_time(120):
                for line in process.stdout:
                    if line == "waiting\n":
                        break
                os.killpg(process.pid, signal.SIGINT)
                shown = process.stdout.read()
        except TimeoutError:        # it would be waited for
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode in (130, -signal.SIGINT)     # a shell calls both 130
    assert shown.splitlines() == [f"last line {number}" for number in range(1000)]
    assert (launch.folder / f"{name}_1" / "train.log").read_text().endswith(f"waiting\n{shown}")
    assert [call[0] for call in launch.calls()] == ["train.py"]


@pytest.mark.parametrize("name", ["train_full_1p", "train_performance_1p"])
@pytest.mark.parametrize("arguments, environment, words", [
    ([], {}, "Usage: bash scripts/{name}.sh --data_path=DIR"),
    (["--lr=0.1"], {}, "Usage: bash scripts/{name}.sh --data_path=DIR"),
    (["my data"], {}, "Usage: bash scripts/{name}.sh --data_path=DIR"),
    (["--data_path=my data", "-x"], {}, "Usage: bash scripts/{name}.sh --data_path=DIR"),
    (["--data_path=none"], {}, "error: --data_path: no such folder: none"),
    (["--data_path=my data", "--output_path=x"], {}, "error: results go to {name}_N/ in the current folder"),
    (["--data_path=my data"], {"ASCEND_DEVICE_ID": "x"}, "error: ASCEND_DEVICE_ID: expected a number, found 'x'"),
])
def test_wrong_use(launch, name, arguments, environment, words):
    result = launch(name, *arguments, **environment)
    assert result.returncode == 2 and result.stderr.startswith(words.format(name=name)), result.stderr
    assert [path.name for path in launch.folder.iterdir()] == ["my data"]
