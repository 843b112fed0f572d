"""Whose folder is whose: runs into used folders, what they leave alone, what they replace, and what is resumed."""
import os
import re
import shlex
import shutil
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import yaml

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.report.history import STEP, read_history
from src.training import run as training
from src.training.callbacks.evaluation import Evaluator
from src.training.checkpoint_files import final_checkpoint, find_checkpoints, read_state
from src.training.run_folder import numbered, read_name
from tests.support.owners import foreign_link
from tests.support.ranks_worker import TinyNetwork
from tests.support.tensorboard_events import events

pytestmark = pytest.mark.slow

# 4 epochs of 2 steps, on 8 of 10 images.
TINY = ["--dataset=folders", "--num_channels=3", "--image_size=[48,32]", "--batch_size=4", "--repeat=1", "--epochs=4",
        "--lr=0.01", "--run_eval=True", "--save_checkpoint_minutes=0", "--device_target=CPU", "--cpu_ops=off",
        "--context_mode=pynative", "--check_dataset=False"]
NAME = "ckpt_unet_simple_adam-{}_2.ckpt"


@pytest.fixture
def go(nuclei, tmp_path, monkeypatch, caplog):
    """Train a tiny network with these options in an empty folder; returns the lines of the log."""
    caplog.set_level("INFO", "unet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "build_network", lambda spec, layers: TinyNetwork(spec.num_channels))
    for name, nothing in (("figures.progress_png", b""), ("page.curve_svgs", {}), ("page.confusion_svg", "")):
        monkeypatch.setattr(f"src.report.{name}", lambda *args, nothing=nothing: nothing)      # curves take seconds

    def train(*argv, base=TINY, interrupted=lambda: False):
        caplog.clear()
        training.train(parse_options([*base, f"--data_path={nuclei}", *argv], ""), interrupted)
        return caplog.messages
    return train


def test_checkpoints_do_not_go_through_a_link_of_another_user(go, tmp_path, monkeypatch):
    """Nor are those removed that are behind it."""
    folder = tmp_path / "output" / "checkpoint"
    (folder / "other").mkdir(parents=True)
    folder.chmod(0o777)
    foreign_link(folder / "ckpt_0", folder / "other", monkeypatch)
    with pytest.raises(UNetError, match="ckpt_0 is a link of user"):
        go("--output_path=output")
    assert not any((folder / "other").iterdir())


def contents(folder):
    """Path -> bytes of all files."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run_in(folder):
    """Name of the run in a folder; all its checkpoints are of this run."""
    name = read_name(folder)
    assert re.fullmatch("[0-9a-f]{12}", name)
    assert {one.run for one in find_checkpoints(folder / "checkpoint" / "ckpt_0")} == {name}
    return name


def weights(path):
    return {name: value.asnumpy().tobytes() for name, value in ms.load_checkpoint(str(path)).items()
            if not isinstance(value, str)}


def test_a_second_run_leaves_the_first_alone(go, tmp_path):
    go()
    first = contents(tmp_path / "output")
    assert sorted(os.listdir("output/checkpoint/ckpt_0")) == ["best.ckpt", *map(NAME.format, range(1, 5))]
    for number in (2, 3):
        messages = go("--seed=2")
        line, = (line for line in messages if "another run" in line)
        assert line.startswith(f"./output holds another run, which stays as it is; this one goes to output_{number} (")
        assert f"checkpoint: output_{number}/checkpoint/ckpt_0/{NAME.format(4)}" in messages
    assert contents(tmp_path / "output") == first
    assert len({run_in(tmp_path / name) for name in ("output", "output_2", "output_3")}) == 3


def test_a_stopped_run_is_resumed_in_its_folder_and_no_other(go, tmp_path):
    """The name goes with the run; the second run, which was stopped too, is not touched."""
    stop = iter([False, False, False, True])
    messages = go(interrupted=lambda: next(stop))
    command = re.search("resume with: (.*)", "\n".join(messages))[1]
    assert command == ("python train.py --config_path=output/config.yaml --device_target=CPU --resume=True "
                       "--resume_ckpt=auto")
    name, second = run_in(tmp_path / "output"), iter([False, False, True])
    go("--seed=2", interrupted=lambda: next(second))
    before = contents(tmp_path / "output_2")
    messages = go(*shlex.split(command)[2:], base=[])
    assert "auto takes the run in ./output; other runs, for --output_path, are in output_2" in messages
    assert run_in(tmp_path / "output") == name and contents(tmp_path / "output_2") == before
    go("--output_path=whole")
    assert weights(f"output/checkpoint/ckpt_0/{NAME.format(4)}") == weights(f"whole/checkpoint/ckpt_0/{NAME.format(4)}")


def test_replacing_a_run(go, tmp_path):
    """Up to its first checkpoint the new run changes nothing; then nothing is left of the old one."""
    go("--tensorboard=True")
    output = tmp_path / "output"
    first, old = contents(output), run_in(output)
    (output / "metrics.json").write_text("{}")
    (output / "notes.txt").write_text("mine")

    def fail(after):
        calls = iter(range(9))
        def interrupted():
            if next(calls) == after:
                assert {path: data for path, data in contents(output).items() if path.parts[0][0] != "."} == {
                    **first, (output / "metrics.json").relative_to(output): b"{}",
                    (output / "notes.txt").relative_to(output): b"mine"}
                raise UNetError("a fault")
            return False
        return interrupted

    with pytest.raises(UNetError, match="a fault"):
        go("--overwrite=True", "--tensorboard=True", interrupted=fail(1))
    assert not [name for name in os.listdir(output) if name.startswith(".")]
    # The third epoch's checkpoint of the new run is the first, so the old run's are gone; so is what is told about it.
    messages = go("--overwrite=True", "--seed=2", "--repeat=2", "--tensorboard=True")
    assert "the run that was in output before is replaced" in messages
    assert run_in(output) != old and set(os.listdir(output)) == {
        "checkpoint", "config.yaml", "history.csv", "notes.txt", "progress.png", "report.html", "run.json",
        "splits.json", "tensorboard"}
    assert max(event.step for event in events(output / "tensorboard")) == 8     # written before and after
    assert (output / "history.csv").read_text().count("step") == 8 + 1
    assert yaml.safe_load((output / "config.yaml").read_text())["seed"] == 2


def test_replacing_nothing(go, tmp_path):
    messages = go("--overwrite=True", "--epochs=1")
    assert run_in(tmp_path / "output") and not any("replaced" in line for line in messages)


def test_config_yaml_says_how_to_make_the_run_again(go):
    stop = iter([False, True])
    go(interrupted=lambda: next(stop))
    go("--resume=True", "--resume_ckpt=auto", "--device_id=0")
    options = yaml.safe_load(Path("output/config.yaml").read_text())
    assert not {"resume", "resume_ckpt", "transfer_training", "overwrite", "run_distribute", "rank", "device_target",
                "device_id", "enable_modelarts", "data_url", "train_url"} & set(options)
    assert (options["lr"], options["epochs"], options["cpu_ops"]) == (0.01, 4, "off")
    assert parse_options(["--config_path=output/config.yaml"], "").resume is False


def test_the_newest_is_that_of_the_highest_step(go, tmp_path):
    stop = iter([False] * 6 + [True])
    go(interrupted=lambda: next(stop))
    folder = tmp_path / "output" / "checkpoint" / "ckpt_0"
    for age, path in enumerate([NAME.format(3), NAME.format(2), NAME.format(1), "best.ckpt"]):
        if (folder / path).exists():
            os.utime(folder / path, (age, age))
    messages = go("--resume=True", "--resume_ckpt=auto", "--run_eval=False", "--keep_checkpoint_max=2")
    assert any(f"resuming from output/checkpoint/ckpt_0/{NAME.format(3)}: " in line for line in messages)
    assert sorted(path.name for path in folder.glob("ckpt*")) == [NAME.format(3), NAME.format(4)]
    assert final_checkpoint(folder, "unet_simple") == folder / "best.ckpt"
    (folder / "best.ckpt").unlink()
    assert final_checkpoint(folder, "unet_simple") == folder / NAME.format(4)


def test_a_folder_of_several_runs(go, tmp_path):
    """Nothing is guessed: the runs are named. A file that is named is resumed, elsewhere."""
    go("--epochs=2")
    go("--epochs=1")
    folder = tmp_path / "output" / "checkpoint" / "ckpt_0"
    shutil.copy(tmp_path / "output_2" / "checkpoint" / "ckpt_0" / NAME.format(1), folder)
    (tmp_path / "output" / "run.json").unlink()
    one, other = (read_state(folder / NAME.format(epoch))["run"] for epoch in (1, 2))
    with pytest.raises(UNetError) as caught:
        go("--resume=True", "--resume_ckpt=auto")
    assert "checkpoints of several runs: " in str(caught.value)
    assert "name the one to resume: --resume_ckpt=FILE" in str(caught.value)
    assert f"run {one} to step 2 ({NAME.format(1)})" in str(caught.value)
    before = contents(tmp_path / "output")
    messages = go("--resume=True", f"--resume_ckpt={folder / NAME.format(2)}")
    assert "resuming after step 4, epoch 2" in messages and contents(tmp_path / "output") == before
    assert run_in(tmp_path / "output_3") == other


@pytest.fixture
def scores(monkeypatch):
    """Evaluations that find 0.5, 0.75, 0.25 and 0.25."""
    values = {2: 0.5, 4: 0.75, 6: 0.25, 8: 0.25}
    real = Evaluator._evaluate

    def evaluate(self, trainer):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("src.evaluation.scores.Scores.metric", lambda self, name: values[trainer.step])
            real(self, trainer)
    monkeypatch.setattr(Evaluator, "_evaluate", evaluate)


def test_the_best_checkpoint_comes_along(go, scores, tmp_path):
    stop = iter([False] * 6 + [True])
    go(interrupted=lambda: next(stop))
    folder = tmp_path / "output" / "checkpoint" / "ckpt_0"
    best = (folder / "best.ckpt").read_bytes()
    assert read_state(folder / "best.ckpt")["step"] == 4

    brought = "best checkpoint of the run so far: {}/checkpoint/ckpt_0/best.ckpt, from {}"
    messages = go("--resume=True", f"--resume_ckpt={folder / NAME.format(3)}", "--output_path=moved")
    assert brought.format("moved", folder / "best.ckpt") in messages
    assert (tmp_path / "moved/checkpoint/ckpt_0/best.ckpt").read_bytes() == best
    assert "End training, the best dice_coeff is: 0.75, the best dice_coeff epoch is 2" in messages

    steps = [row.step for row in read_history(tmp_path / "moved/history.csv") if row.kind == STEP]
    assert steps == list(range(1, steps[-1] + 1))

    # From epoch 1, the best so far is that of epoch 1, and not the file there.
    messages = go("--resume=True", f"--resume_ckpt={folder / NAME.format(1)}", "--output_path=early", "--epochs=4")
    assert brought.format("early", folder / NAME.format(1)) in messages
    (folder / "best.ckpt").unlink()
    (tmp_path / "output/history.csv").unlink()
    messages = go("--resume=True", f"--resume_ckpt={folder / NAME.format(3)}", "--output_path=without")
    assert any(line.startswith("WARNING: the best checkpoint of the run, of epoch 2, is not in ") for line in messages)
    assert any(line.startswith("WARNING: no history.csv of the run in the folders above ") for line in messages)
    assert run_in(tmp_path / "moved") == run_in(tmp_path / "without") == run_in(tmp_path / "output")


def test_a_finished_run_says_how_to_train_on(go, tmp_path):
    go()
    messages = go("--resume=True", "--resume_ckpt=auto")
    assert "nothing is left to train: step 8 of 8 is done; raise epochs to train longer" in messages
    line, = (line for line in messages if line.startswith("to train on: "))
    longer, anew = (shlex.split(part.split("python train.py ")[1]) for part in line.split(";"))
    messages = go(*longer, base=[])
    assert "resuming after step 8, epoch 4" in messages and read_state(
        f"output/checkpoint/ckpt_0/{NAME.format(8)}")["step"] == 16
    first = weights(f"output/checkpoint/ckpt_0/{NAME.format(4)}")
    messages = go(*anew, "--lr=1e-12", "--weight_decay=0", base=[])
    assert any("transfer from output/checkpoint/ckpt_0/" in line for line in messages)
    assert read_state(f"output_2/checkpoint/ckpt_0/{NAME.format(4)}")["step"] == 8
    begun = weights(f"output_2/checkpoint/ckpt_0/{NAME.format(1)}")
    np.testing.assert_allclose(np.frombuffer(begun["final.weight"], np.float32),
                               np.frombuffer(first["final.weight"], np.float32), atol=1e-6)


def test_resume_and_transfer_is_transfer(go):
    go()
    path = f"output/checkpoint/ckpt_0/{NAME.format(4)}"
    messages = go("--resume=True", "--transfer_training=True", f"--resume_ckpt={path}")
    assert f"resume and transfer_training are both True: the weights of {path} begin a new run" in messages
    assert any(line.startswith("transfer from output/checkpoint/ckpt_0/") for line in messages)
    assert read_state(f"output_2/checkpoint/ckpt_0/{NAME.format(4)}")["step"] == 8


def test_a_checkpoint_of_the_model_zoo_begins_a_run(go, tmp_path):
    """Weights, moments and the powers of Adam's betas are there; steps and learning rate begin; the file stays."""
    go("--lr_schedule=cosine", "--output_path=old")
    folder = tmp_path / "output" / "checkpoint" / "ckpt_0"
    folder.mkdir(parents=True)
    zoo = {name: value for name, value in ms.load_checkpoint(f"old/checkpoint/ckpt_0/{NAME.format(4)}").items()
           if not isinstance(value, str)}
    ms.save_checkpoint([{"name": name, "data": value} for name, value in zoo.items()], str(folder / NAME.format(4)))
    before = contents(tmp_path / "output")
    for path in ("auto", folder / NAME.format(4)):
        messages = go("--lr_schedule=cosine", "--resume=True", f"--resume_ckpt={path}", "--lr=1e-12")
        assert any("it holds the network, Adam's moments, Adam's step" in line for line in messages)
        assert "it is of no run of this project, so a new run begins with it and trains all epochs" in messages
        assert sum(line.startswith("step: ") for line in messages) == 8
    assert contents(tmp_path / "output") == before and run_in(tmp_path / "output_2") != run_in(tmp_path / "output_3")
    after = ms.load_checkpoint(f"output_2/checkpoint/ckpt_0/{NAME.format(4)}")
    assert after["global_step"].asnumpy() == 8
    np.testing.assert_allclose(after["beta1_power"].asnumpy(), 0.9 ** 16, rtol=1e-4)
    np.testing.assert_allclose(after["final.weight"].asnumpy(), zoo["final.weight"].asnumpy(), atol=1e-6)


def test_numbered_folders():
    """On ModelArts the folder is inside, since only that is copied."""
    def places(number, *argv):
        config = numbered(parse_options(argv, ""), number)
        return config.output_path, config.checkpoint_path

    assert places(1) == ("./output", "./checkpoint/")
    assert places(3) == ("output_3", "./checkpoint/")
    assert places(2, "--output_path=/a/b/", "--checkpoint_path=c/d") == ("/a/b_2", "c/d")
    assert places(2, "--output_path=.") == (f"{os.getcwd()}_2", "./checkpoint/")
    assert places(2, "--output_path=/a", "--enable_modelarts=True") == ("/a/run_2", "./checkpoint/")
