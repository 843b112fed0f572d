"""Training on somebody's own images without any option, through the command line."""
from functools import partial

import numpy as np
import pytest
import yaml
from PIL import Image

from src.data.stacks import IMAGE_STACK, LABEL_STACK
from src.data.tiff import write_stack
from tests.support.data import write_pairs
from tests.support.scripts import assert_one_line_error, run_here

SMALL = ["--total_steps=4", "--patches_per_image=2", "--batch_size=2", "--train_crop=32", "--cpu_ops=off",
         "--context_mode=pynative", "--cpu_precision=float32"]


@pytest.fixture
def run(tmp_path, narrow_networks):
    return partial(run_here, cwd=tmp_path)


def chosen(output):
    """Option -> its value in the table, as text."""
    rows = output.partition("  choice")[2].splitlines()[1:]
    return {line.split()[0]: line for line in rows if line.startswith("  ")}


def pictures(folder, count, classes=2, start=0):
    """Images in imgs/ and masks in gt/, with two blocks of each class."""
    rng = np.random.default_rng(1)
    for number in range(start, start + count):
        image, mask = rng.integers(0, 60, (48, 64)).astype(np.uint8), np.zeros((48, 64), np.uint8)
        for block in range(2 * classes - 2):
            place = np.s_[4 + 22 * (block % 2):18 + 22 * (block % 2), 4 + 16 * (block // 2):16 + 16 * (block // 2)]
            mask[place] = block // 2 + 1 if classes > 2 else 255
            image[place] += np.uint8(60 + 60 * (block // 2))
        for part, pixels in (("imgs", image), ("gt", mask)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / part / f"{number}.png")
    return folder


@pytest.mark.slow
def test_dry_run_shows_the_choices_and_writes_nothing(run, tmp_path):
    data = pictures(tmp_path / "data", 6, classes=3)
    (data / "gt" / "5.png").unlink()
    result = run("train.py", f"--data_path={data}", "--dry_run=True", "--minutes=3", "--lr=0.01")
    assert result.returncode == 0, result.stderr
    rows = chosen(result.stdout)
    for option, value in (("dataset", "image_mask"), ("image_dir", "imgs"), ("mask_dir", "gt"), ("num_classes", "3"),
                          ("num_channels", "1"), ("unpaired", "skip"), ("image_size", "native"), ("lr", "0.01")):
        assert rows[option].split()[1] == value, rows[option]
    assert rows["lr"].endswith("given") and "masks hold 0" in rows["num_classes"]
    assert "1 images have no mask: imgs/5.png" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.slow
def test_a_training_with_what_was_chosen(run, tmp_path):
    data = pictures(tmp_path / "data", 6)
    result = run("train.py", f"--data_path={data}", "--output_path=out", *SMALL)
    assert result.returncode == 0, result.stdout + result.stderr
    options = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert (options["dataset"], options["image_dir"], options["mask_dir"]) == ("image_mask", "imgs", "gt")
    assert (options["loss"], options["lr_schedule"], options["total_steps"]) == ("cross_entropy+dice", "cosine", 4)
    assert (tmp_path / "out" / "checkpoint" / "ckpt_0" / "best.ckpt").is_file()
    assert (tmp_path / "out" / "report.html").is_file()
    assert "to predict: python predict.py --config_path=out/config.yaml" in result.stdout
    again = run("train.py", f"--data_path={data}", "--output_path=out", "--resume=True", "--resume_ckpt=auto")
    assert "the options are those of the run that is resumed" in again.stdout
    assert "nothing is left to train: step 4 of 4 is done; raise total_steps" in again.stdout


@pytest.mark.slow
def test_raw_nuclei_are_prepared(run, tmp_path):
    data = tmp_path / "data" / "stage1_train"
    for number in range(6):
        pictures(tmp_path / "made", 1, start=number)
        for folder, source in (("images", "imgs"), ("masks", "gt")):
            (data / f"n{number}" / folder).mkdir(parents=True)
            (tmp_path / "made" / source / f"{number}.png").rename(data / f"n{number}" / folder / f"n{number}.png")
    dry = run("train.py", f"--data_path={data.parent}", "--dry_run=True", "--output_path=out")
    assert dry.returncode == 0 and "boundary" in chosen(dry.stdout)["target"], dry.stdout + dry.stderr
    assert not (tmp_path / "out").exists()
    result = run("train.py", f"--data_path={data.parent}", "--output_path=out", *SMALL)
    assert result.returncode == 0, result.stdout + result.stderr
    options = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    (prepared,) = (tmp_path / "out").glob("prepared_*")
    assert options["target"] == "boundary" and options["data_path"] == f"out/{prepared.name}"
    assert sorted(path.name for path in (prepared / "n0").iterdir()) == ["image.png", "labels.tif", "mask.png"]


@pytest.mark.slow
def test_one_image_trains_without_validation(run, tmp_path):
    data = write_pairs(tmp_path / "data", ["a"])
    result = run("train.py", f"--data_path={data}", "--output_path=out", *SMALL)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "one image: it trains, none validates" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("argv, parts", [
    (["--epochs=3", "--minutes=2"], ["epochs is 3 and minutes is 2"]),
    (["--config_path=unet_quickstart_config.yaml", "--dry_run=True"], ["dry_run is True"]),
    (["--config_path=auto", "--run_distribute=True"], ["config_path auto is for one process"])])
def test_options_that_contradict_each_other(run, tmp_path, argv, parts):
    data = pictures(tmp_path / "data", 4)
    assert_one_line_error(run("train.py", f"--data_path={data}", "--output_path=out", *argv), *parts)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_folders_that_do_not_say_what_they_are(run, tmp_path):
    data = pictures(tmp_path / "data", 5)
    write_stack(data / IMAGE_STACK, np.zeros((5, 16, 16), np.uint8))
    write_stack(data / LABEL_STACK, np.zeros((5, 16, 16), np.uint8))
    result = run("train.py", "--config_path=auto", f"--data_path={data}")
    assert_one_line_error(result, "2 layouts fit", "--dataset=ISBI", "--dataset=image_mask")
    result = run("train.py", f"--data_path={data / 'imgs'}")
    assert_one_line_error(result, "no layout fits what is listed above", "the nearest is dataset image_mask")
    assert "0.png, 1.png, 2.png, ... (5 files: 5 .png)" in result.stdout
    for script in ("eval.py", "predict.py"):
        assert_one_line_error(run(script, "--config_path=auto"), "config_path auto is for train.py")
