"""Runs that are stopped in several ways: what they leave on the disk, and how they resume."""
import os
import re
import shutil
import signal

import mindspore as ms
import numpy as np
import pytest

from src.model_utils.config import parse_options
from src.report.history import read_history
from src.training.run import train
from tests.support import scripts
from tests.support.light import at_line
from tests.support.scripts import assert_one_line_error, run, run_here

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("light_runs")]

STACKS = ["--model_name=unet_simple", "--image_size=[96,96]", "--train_crop=32", "--batch_size=2", "--repeat=6",
          "--epochs=6", "--weight_init=he_normal", "--lr=0.001", "--lr_schedule=cosine", "--augment_elastic=True",
          "--augment_rot90=True", "--run_eval=True", "--eval_steps=10", "--save_checkpoint_steps=5"]
FOLDERS = ["--model_name=unet_simple", "--dataset=folders", "--num_channels=3", "--image_size=[48,32]",
           "--batch_size=2", "--repeat=1", "--epochs=5", "--weight_init=he_normal", "--lr=0.001",
           "--save_checkpoint_steps=3"]
FOLDER = ("checkpoint", "ckpt_0")

def start(*argv, lines, signals):
    """A run that sends itself signals when its log has come to all these lines, in turn."""
    return scripts.start("train.py", *argv, env=at_line(lines, *signals))


def end(process):
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def newest(folder):
    return max(folder.joinpath(*FOLDER).glob("ckpt_*.ckpt"), key=lambda path: path.stat().st_mtime_ns)


def parameters(path):
    return {name: value.asnumpy().tobytes() for name, value in ms.load_checkpoint(str(path)).items()
            if not isinstance(value, str)}


@pytest.fixture(scope="module")
def whole(sample, tmp_path_factory):
    """A run of 24 steps that nothing stops: its folder and its log."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    result = run("train.py", *STACKS, f"--data_path={sample}", f"--output_path={folder}")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, result.stdout


def test_killed_interrupted_and_terminated(whole, sample, tmp_path):
    """One run of 24 steps, stopped inside its only epoch by SIGKILL, SIGINT and SIGTERM, ends bit-identical."""
    folder, log = whole
    out = tmp_path / "out"
    argv = [*STACKS, f"--data_path={sample}", f"--output_path={out}"]
    process = start(*argv, lines=["step: 7,"], signals=[signal.SIGSTOP])
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    second = run("train.py", *argv)
    assert_one_line_error(second, f"the output folder {out} is in use by process {process.pid} on ")
    process.kill()
    assert end(process)[0] == -signal.SIGKILL
    assert (out / ".lock").exists()                        # it is stale, and in nobody's way

    process = start(*argv, "--resume=True", "--resume_ckpt=auto", lines=["step: 12,"], signals=[signal.SIGINT])
    status, rest = end(process)
    assert re.search("resuming from .*ckpt_unet_simple_adam-1_5.ckpt: it holds the network, Adam's moments", rest)
    assert status == 130 and "SIGINT: finishing the step" in rest
    assert re.search(r"stopped after step \d+ of 24; resume with: python train.py --config_path=", rest)
    assert f"--config_path={out / 'config.yaml'} --resume=True --resume_ckpt=auto" in rest
    assert "Traceback" not in rest and "End Training ==" not in rest and not (out / ".lock").exists()

    process = start(f"--config_path={out / 'config.yaml'}", "--resume=True", "--resume_ckpt=auto",
                    lines=["step: 17,"], signals=[signal.SIGTERM])
    status, rest = end(process)
    assert status == 143 and "SIGTERM: finishing the step" in rest

    result = run("train.py", f"--config_path={out / 'config.yaml'}", "--resume=True", "--resume_ckpt=auto")
    assert result.returncode == 0, result.stderr
    assert parameters(newest(out)) == parameters(newest(folder))
    best = re.findall(r"the best dice_coeff is: (\S+),", result.stdout)
    assert best == re.findall(r"the best dice_coeff is: (\S+),", log)
    # The same rows of history.csv, none of them twice; but for the times, which differ.
    rows, expected = ([(row.step, row.kind, row.loss, row.learning_rate, row.dice_coeff) for row in read_history(
        place / "history.csv")] for place in (out, folder))
    assert rows == expected and [row[0] for row in rows if row[1] == "step"] == list(range(1, 25))
    # The same losses, whatever was printed in between.
    for line in re.findall(r"step: 2[34], loss is \S+", log):
        assert line in result.stdout


@pytest.mark.parametrize("more", [[], ["--image_size=native", "--train_crop=32", "--patches_per_image=2", "--epochs=3",
                                       "--augmentation=strong", "--normalize=zscore"]], ids=["resized", "native"])
def test_folders_over_several_epochs(nuclei, tmp_path, more):
    argv = [*FOLDERS, f"--data_path={nuclei}", *more]
    assert run("train.py", *argv, f"--output_path={tmp_path / 'a'}").returncode == 0
    process = start(*argv, f"--output_path={tmp_path / 'b'}", lines=["epoch:   2", "step: 2,"],
                    signals=[signal.SIGKILL])
    assert end(process)[0] == -signal.SIGKILL
    result = run("train.py", *argv, f"--output_path={tmp_path / 'b'}", "--resume=True", "--resume_ckpt=auto")
    assert result.returncode == 0, result.stderr
    assert parameters(newest(tmp_path / "b")) == parameters(newest(tmp_path / "a"))


def test_second_signal_ends_at_once(sample, tmp_path):
    process = start(*STACKS, f"--data_path={sample}", f"--output_path={tmp_path / 'out'}", lines=["step: 3,"],
                    signals=[signal.SIGINT, signal.SIGTERM])
    status, rest = end(process)
    assert status == 143        # that of the second; the first alone ends with 130
    assert "stopped after step" not in rest


def test_damaged_checkpoints_are_passed_over(whole, sample, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(whole[0], out)
    files = sorted(out.joinpath(*FOLDER).glob("ckpt_*.ckpt"), key=lambda path: path.stat().st_mtime_ns)
    files[-2].write_bytes(b"")
    files[-1].write_bytes(files[-1].read_bytes()[:-1000])      # written last, so the newest as before
    result = run("train.py", *STACKS, f"--data_path={sample}", f"--output_path={out}", "--resume=True",
                 "--resume_ckpt=auto")
    assert result.returncode == 0, result.stderr
    warnings = [line for line in result.stdout.splitlines() if line.startswith("WARNING: passed over: ")]
    assert [str(path) in line for path, line in zip(files[:-3:-1], warnings)] == [True, True]
    # The best one may be of a later step.
    assert any(f"resuming from {path}" in result.stdout for path in (files[-3], out.joinpath(*FOLDER) / "best.ckpt"))
    assert parameters(newest(out)) == parameters(newest(whole[0]))


def test_nothing_left_to_train(whole, sample, tmp_path):
    result = run_here("train.py", *STACKS, f"--data_path={sample}", f"--output_path={tmp_path / 'out'}",
                      "--resume=True", f"--resume_ckpt={newest(whole[0])}")
    assert result.returncode == 0
    assert "nothing is left to train: step 24 of 24 is done; raise epochs to train longer\n" in result.stdout
    assert (tmp_path / "out" / "checkpoint" / "ckpt_0" / "best.ckpt").exists()


def test_auto_without_a_checkpoint_starts_at_the_beginning(nuclei, tmp_path):
    result = run_here("train.py", *FOLDERS, f"--data_path={nuclei}", f"--output_path={tmp_path / 'out'}",
                      "--resume=True", "--resume_ckpt=auto", "--epochs=1")
    assert result.returncode == 0 and "WARNING: no whole checkpoint in" in result.stdout
    assert "step: 1," in result.stdout


def test_checkpoints_of_the_model_zoo(whole, nuclei, sample, tmp_path):
    """Weights alone, and weights with Adam's moments; both under the model zoo's names, without a state of ours."""
    contents = ms.load_checkpoint(str(newest(whole[0])))
    zoo = {name: value for name, value in contents.items() if not isinstance(value, str)}
    weights = {name: value for name, value in zoo.items() if name.startswith(("conv", "up_", "final"))}
    for name, values in (("weights", weights), ("moments", zoo)):
        ms.save_checkpoint([{"name": key, "data": value} for key, value in values.items()], str(tmp_path / name))
    argv = [*STACKS, f"--data_path={sample}", f"--output_path={tmp_path / 'out'}", "--resume=True"]

    result = run_here("train.py", *argv, f"--resume_ckpt={tmp_path / 'weights.ckpt'}", "--repeat=1",
                 "--epochs=1", "--run_eval=False")
    assert result.returncode == 0, result.stderr
    assert "weights.ckpt: it holds the network\n" in result.stdout
    assert "it does not hold Adam's moments, Adam's step, the run's state, which start afresh" in result.stdout
    assert "step: 1," in result.stdout

    result = run_here("train.py", *argv, f"--resume_ckpt={tmp_path / 'moments.ckpt'}")
    assert result.returncode == 0, result.stderr
    assert "moments.ckpt: it holds the network, Adam's moments, Adam's step\n" in result.stdout
    assert "it does not hold the run's state, which starts afresh" in result.stdout
    assert "a new run begins with it and trains all epochs" in result.stdout
    assert len(re.findall("^step: ", result.stdout, re.MULTILINE)) == 24


def test_transfer(whole, nuclei, tmp_path):
    """To more classes and from gray to colour: named parameters start afresh, the rest is kept, at step 0."""
    argv = [*FOLDERS, f"--data_path={nuclei}", f"--output_path={tmp_path / 'out'}", "--transfer_training=True",
            f"--resume_ckpt={newest(whole[0])}", "--epochs=1"]
    result = run_here("train.py", *argv, "--filter_weight=[final]")
    assert result.returncode == 0, result.stderr
    assert "its network takes 1 channels, this one 3; the first 1 keep their weights" in result.stdout
    result = run_here("train.py", *argv, "--filter_weight=[final,conv0.convs.0.0.weight]")
    assert result.returncode == 0, result.stderr
    assert "9 parameters loaded" in result.stdout and "step: 1," in result.stdout
    assert "  2 dropped by filter_weight: conv0.convs.0.0.weight, final.weight\n" in result.stdout
    assert "  2 newly initialised: conv0.convs.0.0.weight, final.weight\n" in result.stdout


def test_same_seed_same_run_whatever_ran_before(nuclei, tmp_path):
    """Two runs in one process, with other random draws in between."""
    argv, runs = [*FOLDERS, f"--data_path={nuclei}", "--epochs=1"], []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        trainer = train(parse_options([*argv, f"--output_path={tmp_path / name}", f"--seed={seed}"], ""))
        runs.append([parameter.asnumpy().tobytes() for parameter in trainer.train_network.get_parameters()])
        np.random.seed(77), np.random.rand(1000), ms.set_seed(5), ms.ops.standard_normal((7,))
    assert runs[0] == runs[1] != runs[2]
