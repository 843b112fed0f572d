"""Whole runs through the command line: train.py, then eval.py."""
import json
import os
import re

import numpy as np
import pytest
import yaml
from mindspore import hal
from PIL import Image

from eval import main as evaluate
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training.run import train
from tests.support.data import write_pairs
from tests.support.scripts import PROJECT, assert_one_line_error, run, run_here

pytestmark = pytest.mark.usefixtures("narrow_networks", "exports_here", "onnx_is_fastest")

SMALL = ["--model_name=unet_simple", "--image_size=[96,96]", "--train_crop=32", "--batch_size=2", "--repeat=2",
         "--epochs=4", "--weight_init=he_uniform", "--lr=0.002"]


@pytest.fixture(scope="module")
def trained(sample, tmp_path_factory, narrow_networks):
    """A run on the small sample: (process, output folder). 2 epochs of 8 steps."""
    folder = tmp_path_factory.mktemp("run") / "with space"
    result = run("train.py", *SMALL, f"--data_path={sample}", f"--output_path={folder}", "--run_eval=True",
                 "--eval_steps=4", "--save_checkpoint_steps=3", "--keep_checkpoint_max=3", "--augment_elastic=True",
                 "--augment_rot90=True", "--lr_schedule=cosine", "--tensorboard=True",
                 cwd=tmp_path_factory.mktemp("cwd"))
    assert result.returncode == 0, result.stdout + result.stderr
    return result, folder


@pytest.mark.slow
def test_log_of_a_run(trained):
    result, folder = trained
    lines = result.stdout.splitlines()
    assert result.stderr == ""
    start, end = (lines.index(f"============== {word} Training ==============") for word in ("Starting", "End"))
    assert any(line.startswith("training graph compiled in ") for line in lines[:start])
    assert any(line.startswith("convolutions: ") for line in lines[:start])
    steps = [line for line in lines[start:end] if re.fullmatch(
        r"step: \d+, loss is [\d.]+, fps is [\d.]+", line)]
    assert [int(line.split(",")[0][6:]) for line in steps] == [*range(1, 9), *range(1, 9)]
    epochs = [line for line in lines[start:end] if re.match(
        r"epoch: {3}\d, avg loss:\d\.\d{4}, total cost: \d+\.\d{3} s, per step fps:\d+\.\d{3}$", line)]
    assert len(epochs) == 2
    assert f"checkpoint: {folder / 'checkpoint' / 'ckpt_0' / 'ckpt_unet_simple_adam-2_8.ckpt'}" in lines
    assert lines[-1].startswith("peak memory: ")


@pytest.mark.slow
def test_files_of_a_run(trained):
    _, folder = trained
    assert sorted(os.listdir(folder)) == ["checkpoint", "config.yaml", "dataset.jpg", "dataset.json", "history.csv",
                                          "progress.png", "report.html", "run.json", "splits.json", "tensorboard"]
    # Steps 3, 6, 9, 12, 15 and the end, the newest three of them, and the best.
    assert sorted(os.listdir(folder / "checkpoint" / "ckpt_0")) == [
        "best.ckpt", *(f"ckpt_unet_simple_adam-2_{step}.ckpt" for step in (4, 7, 8))]
    options = yaml.safe_load((folder / "config.yaml").read_text())
    assert options["train_crop"] == 32 and options["model_name"] == "unet_simple"


@pytest.mark.slow
def test_evaluation_agrees_with_the_one_while_training(trained, sample, tmp_path):
    result, folder = trained
    best = max(float(value) for value in re.findall(r"dice_coeff: ([\d.]+)", result.stdout))
    result = run_here("eval.py", f"--config_path={folder / 'config.yaml'}", f"--data_path={sample}",
                 f"--output_path={tmp_path / 'out'}", f"--ckpt_path={folder / 'checkpoint' / 'ckpt_0' / 'best.ckpt'}",
                 "--show_eval=True", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert sum(line.startswith("single dice coeff is: ") for line in lines) == 2
    dice, = (float(line.split(": ")[1]) for line in lines if "Cross valid dice coeff is:" in line)
    iou, = (float(line.split(": ")[1]) for line in lines if "Cross valid IOU is:" in line)
    assert dice == pytest.approx(best, abs=1e-5)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["soft"]["dice_coeff"], metrics["soft"]["iou"]) == (dice, iou)
    assert 0 < metrics["hard"]["IoU"]["foreground"] < 1
    for name in ("predict-1.png", "predict-2.png", "mask-1.png", "mask-2.png"):
        picture = np.asarray(Image.open(tmp_path / "out" / "draw_eval" / name))
        assert picture.shape == (96, 96, 3)
        assert {tuple(color) for color in picture.reshape(-1, 3)} <= {(0, 0, 0), (255, 0, 0)}
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.slow
def test_argmax_gives_the_pixel_accuracy(trained, sample, tmp_path):
    _, folder = trained
    result = run_here("eval.py", f"--config_path={folder / 'config.yaml'}", f"--output_path={tmp_path}",
                 f"--ckpt_path={folder / 'checkpoint' / 'ckpt_0' / 'best.ckpt'}", "--eval_activate=argmax",
                 cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    # The mean over images of one size is the accuracy over all of them.
    assert metrics["soft"]["dice_coeff"] == pytest.approx(metrics["hard"]["Acc"]["mean"], abs=1e-6)
    assert "which makes the Dice the pixel accuracy" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("argv", [
    ["--config_path={p}/unet_nested_cell_config.yaml", "--image_size=[48,32]", "--batch_size=4",
     "--train_augment=True", "--context_mode=pynative"],
    ["--config_path=unet_nested_config.yaml", "--dataset=folders", "--num_channels=3", "--image_size=[32,32]",
     "--batch_size=4", "--eval_resize=True", "--include_background=False"],
    ["--config_path={p}/unet_medical_config.yaml", "--dataset=folders", "--num_channels=3", "--image_size=[188,188]",
     "--crop=[4,4]", "--batch_size=2"],
    ["--model_name=unet_simple", "--dataset=folders", "--num_channels=1", "--image_size=[32,32]", "--batch_size=4",
     "--context_mode=pynative", "--log_interval=0"],
], ids=["nested-cell", "nested-ds", "medical", "simple-pynative"])
def test_folders(nuclei, tmp_path, argv):
    """Each network on pictures and masks: one epoch of two or four steps, evaluated while training and after."""
    argv = [part.format(p=PROJECT) for part in argv] + [f"--data_path={nuclei}", f"--output_path={tmp_path / 'out'}"]
    result = run_here("train.py", *argv, "--epochs=1", "--repeat=1", "--run_eval=True", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    at_the_end, = re.findall(r"^epoch: 1, dice_coeff: ([\d.]+)$", result.stdout, re.MULTILINE)
    best = tmp_path / "out" / "checkpoint" / "ckpt_0" / "best.ckpt"
    result = run_here("eval.py", *argv, f"--checkpoint_file_path={best}", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    dice, = re.findall(r"Cross valid dice coeff is: ([\d.]+)", result.stdout)
    assert float(dice) == pytest.approx(float(at_the_end), abs=1e-4)


@pytest.mark.slow
def test_case_study(tmp_path, caplog):
    """One output channel: the metrics of the case study, while training and after it; in this process."""
    caplog.set_level("INFO", "unet")
    data = tmp_path / "data"
    for part, count in (("train", 4), ("val", 2)):
        pairs = write_pairs(tmp_path / part, [str(k) for k in range(count)])
        for kind in ("image", "mask"):
            (data / part / kind).mkdir(parents=True)
            for k in range(count):
                (pairs / str(k) / f"{kind}.png").rename(data / part / kind / f"{k}.png")
    argv = ["--config_path=unet_bilinear_config.yaml", f"--data_path={data}", "--image_size=[32,32]",
            f"--output_path={tmp_path / 'out'}", "--context_mode=pynative"]
    train(parse_options([*argv, "--epochs=2", "--repeat=1", "--batch_size=2"], ""))
    value = r"(\d\.\d{4})"
    names = f"acc: {value}, hard_iou: {value}, hard_dice: {value}, sens: {value}, spec: {value}"
    lines = "\n".join(caplog.messages)
    assert len(re.findall(f"^train: {names}$", lines, re.MULTILINE)) == 2
    valid = re.findall(f"^valid: {names}$", lines, re.MULTILINE)
    ious = [float(number) for number in re.findall(r"^epoch: \d, hard_iou: (\S+)$", lines, re.MULTILINE)]
    assert [scores[1] for scores in valid] == [f"{iou:.4f}" for iou in ious] and len(ious) == 2
    assert f"IoU improved from 0.0000 to {ious[0]:.4f}" in lines
    best = tmp_path / "out" / "checkpoint" / "ckpt_0" / "best.ckpt"
    evaluate(parse_options([*argv, f"--checkpoint_file_path={best}"], ""))
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["hard_per_image"]["hard_iou"] == pytest.approx(max(ious), abs=1e-3)
    assert (metrics["eval_activate"], len(metrics["hard_per_image"]["per_image"])) == ("Sigmoid", 2)
    evaluate(parse_options([*argv, f"--checkpoint_file_path={best}", "--tta=True"], ""))
    turned = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["tta"], turned["tta"]) == (False, True) and turned["soft"] != metrics["soft"]


@pytest.mark.slow
def test_many_classes(tmp_path):
    data = write_pairs(tmp_path / "data" / "train", [str(k) for k in range(4)], classes=12).parent
    write_pairs(data / "val", ["x", "y"], classes=12)
    argv = ["--config_path=unet_simple_coco_config.yaml", f"--data_path={data}", "--num_classes=12",
            "--image_size=[48,32]", "--batch_size=2", "--context_mode=pynative",
            f"--output_path={tmp_path / 'out'}"]
    result = run_here("train.py", *argv, "--epochs=1", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    path = tmp_path / "out" / "checkpoint" / "ckpt_0" / "ckpt_unet_simple_adam-1_2.ckpt"
    result = run_here("eval.py", *argv, f"--checkpoint_file_path={path}", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "without the background" in result.stdout


# ---- what goes wrong ends with one line and status 2


def refusal(main, *argv):
    """The error that ``main`` ends in; in this process, since most of a script's time is its start."""
    with pytest.raises(UNetError) as refused:
        main(parse_options(list(map(str, argv)), ""))
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("argv, parts", [
    (["--data_path=/no/such/folder"], ["/no/such/folder", "--data_path"]),
    (["--image_size=[100,100]", "--train_crop=0"], ["100x100", "96x96 and 112x112"]),
    (["--train_crop=100"], ["train_crop 100"]),
    (["--image_size=native", "--train_crop=0"], ["give their size with train_crop"]),
    (["--image_size=native", "--train_crop=[96,100]"], ["96x100 (height x width)", "96x96 and 96x112"]),
    (["--image_size=native", "--train_crop=204", "--model_name=unet_medical"],
     ["20x20 logits of 204x204 images", "set crop to [20, 20]"]),
    (["--batch_size=99"], ["a batch of 99", "8 training samples"]),
    (["--repeat=9"], ["epochs 4 is less than repeat 9"]),
    (["--device_target=GPU"], ["device_target GPU", "CPU"]),
    (["--device_target=Ascend"], ["device_target Ascend", "CPU"]),
    (["--loss_scale=512"], ["loss_scale 512.0", "FixedLossScaleManager 1024.0"]),
    (["--model_name=unet_medical", "--image_size=[204,204]", "--train_crop=0"],
     ["20x20 logits", "set crop to [20, 20]"]),
    (["--crop=[48,48]"], ["set crop to None"]),
    (["--run_eval=True", "--monitor=acc"], ["monitor 'acc' is not one of eval_metrics, dice_coeff"]),
    (["--run_eval=True", "--eval_activate=Sigmoid"], ["eval_activate Sigmoid does not fit UNet"]),
    (["--dataset=folders", "--num_channels=3"], ["image.png is missing"]),
])
def test_wrong_settings(sample, tmp_path, argv, parts):
    if any(hal.is_available(name) for name in ("Ascend", "GPU")):
        argv = ["--device_target=CPU", *argv]
    if "--dataset=folders" in argv:
        (tmp_path / "data" / "x").mkdir(parents=True)
        argv = [*argv, f"--data_path={tmp_path / 'data'}"]
    # Some settings are refused only when the network is there, for which no operators need to be compiled.
    message = refusal(train, *SMALL, "--cpu_ops=off", f"--data_path={sample}", f"--output_path={tmp_path / 'out'}",
                      *argv)
    assert all(part in message for part in parts), message
    assert not (tmp_path / "out").exists()


def test_wrong_setting_on_the_command_line(run, tmp_path):
    result = run("train.py", "--data_path=/no/such/folder", f"--output_path={tmp_path / 'out'}")
    assert_one_line_error(result, "no such data folder: /no/such/folder")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_damaged_picture_in_the_middle_of_a_run(tmp_path):
    """Folders are read lazily; the error still is one line, and names the file."""
    data = write_pairs(tmp_path / "data", [str(k) for k in range(6)])
    (data / "2" / "image.png").write_bytes((data / "2" / "image.png").read_bytes()[:500])
    result = run_here("train.py", "--dataset=folders", "--num_channels=3", "--image_size=[32,32]",
                      f"--data_path={data}", "--batch_size=2", "--repeat=1", "--epochs=1",
                      f"--output_path={tmp_path / 'out'}")
    assert_one_line_error(result, data / "2" / "image.png", "truncated")


@pytest.mark.slow
def test_loss_that_is_not_finite(sample, tmp_path):
    result = run_here("train.py", *SMALL, f"--data_path={sample}", f"--output_path={tmp_path / 'out'}", "--lr=1e30",
                 "--save_checkpoint_steps=1")
    # It depends on the operators whether the loss or a weight is the first that is not finite.
    assert_one_line_error(result, "lower lr, or check the data", "checkpoint")
    assert re.search(r"error: (the loss is (nan|inf) at step|\S+ is not finite after step) \d", result.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("argv, parts", [
    (["--ckpt_path=/none.ckpt"], ["/none.ckpt"]),
    (["--ckpt_path={data}/train-volume.tif"], ["not a whole MindSpore checkpoint"]),
    (["--ckpt_path={best}", "--model_name=unet_nested"],
     ["model_name is unet_nested, but", "was trained with model_name"]),
    ([], ["checkpoint"]),
])
def test_wrong_checkpoints(trained, sample, tmp_path, argv, parts):
    argv = [part.format(best=trained[1] / "checkpoint" / "ckpt_0" / "best.ckpt", data=sample) for part in argv]
    message = refusal(evaluate, f"--data_path={sample}", "--image_size=[96,96]", f"--output_path={tmp_path / 'out'}",
                      *argv)
    assert all(part in message for part in parts), message
    assert not (tmp_path / "out").exists()


def test_debug_shows_the_traceback():
    result = run_here("train.py", "--data_path=/none", "--debug")
    assert result.returncode == 2 and "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: no such data folder: /none")
