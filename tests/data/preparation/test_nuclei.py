"""Merging the masks of nuclei, and the command line around it."""
import json
import os
import signal
import subprocess
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from src.data.channels import Channels
from src.data.folders import image_folders
from src.data.image_mask_pairs import PairReader
from src.data.mask_pixels import MaskOptions
from src.data.preparation.nuclei import merge_masks, nuclei_tasks
from src.data.preparation.prepare import create_tasks
from src.data.preparation.task_pool import run_tasks
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from tests.support.scripts import PROJECT, assert_one_line_error, run, start

COMMAND = ["preprocess_dataset.py", "--config_path", PROJECT / "unet_nested_cell_config.yaml"]


def write_raw(folder, names, size=(24, 32), masks=3, seed=0):
    """Write NAME/images/NAME.png (RGBA) and NAME/masks/0.png, ... as the Data Science Bowl has them."""
    rng = np.random.default_rng(seed)
    for name in names:
        for kind in ("images", "masks"):
            (folder / name / kind).mkdir(parents=True)
        image = rng.integers(0, 256, (*size, 4), dtype=np.uint8)
        image[..., 3] = 255
        Image.fromarray(image).save(folder / name / "images" / f"{name}.png")
        for number in range(masks):
            mask = np.zeros(size, np.uint8)
            mask[6 * number:6 * number + 5, number:20 + number] = 255
            Image.fromarray(mask).save(folder / name / "masks" / f"{number}.png")
    return folder


def prepare(*arguments):
    return run(*COMMAND, *arguments)


def test_masks_are_merged(tmp_path):
    folder = write_raw(tmp_path, ["a"]) / "a"
    (image, mask, labels), count = merge_masks(folder)
    assert count == 3
    assert np.array_equal(image, cv2.imread(str(folder / "images" / "a.png")))       # blue, green, red
    expected = np.zeros((24, 32), np.uint8)
    expected[0:5, 0:20] = expected[6:11, 1:21] = expected[12:17, 2:22] = 255
    assert np.array_equal(mask, expected)
    assert np.array_equal(labels, np.where(expected, np.arange(24)[:, None] // 6 + 1, 0)) and labels.dtype == np.uint16


def test_overlapping_masks_keep_the_larger_value(tmp_path):
    folder = write_raw(tmp_path, ["a"], masks=0) / "a"
    for name, value in (("0", 200), ("1", 90)):
        Image.fromarray(np.full((24, 32), value, np.uint8)).save(folder / "masks" / f"{name}.png")
    _, mask, labels = merge_masks(folder)[0]
    assert set(np.unique(mask)) == {200} and set(np.unique(labels)) == {1}


@pytest.mark.parametrize("value", [1, 76])
def test_nuclei_have_the_largest_value_of_their_mask(tmp_path, value):
    folder = write_raw(tmp_path, ["a"], masks=0) / "a"
    for number in range(2):
        mask = np.zeros((24, 32), np.uint8)
        mask[10 * number:10 * number + 5] = value
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    labels = merge_masks(folder)[0][2]
    assert [labels[row, 0] for row in (0, 5, 10, 15)] == [1, 0, 2, 0]


@pytest.mark.parametrize(("mode", "pixels", "expected"), [
    ("L", np.full((24, 32), 7, np.uint8), 7),
    ("I;16", np.full((24, 32), 0x1234, np.uint16), 0x1234),
    ("1", np.full((24, 32), True), 255),
])
def test_gray_pictures_become_colour(tmp_path, mode, pixels, expected):
    folder = write_raw(tmp_path, ["a"]) / "a"
    Image.fromarray(pixels).save(folder / "images" / "a.png")
    assert Image.open(folder / "images" / "a.png").mode == mode
    assert np.array_equal(merge_masks(folder)[0][0], np.full((24, 32, 3), expected))


def truncate(path):
    path.write_bytes(path.read_bytes()[:60])


BAD = {
    "image missing": (lambda folder: (folder / "images" / f"{folder.name}.png").unlink(), "is missing"),
    "image damaged": (lambda folder: truncate(folder / "images" / f"{folder.name}.png"), "damaged or truncated"),
    "no masks": (lambda folder: [path.unlink() for path in (folder / "masks").iterdir()], "no masks found"),
    "mask damaged": (lambda folder: truncate(folder / "masks" / "1.png"), "1.png: cannot be read as an image"),
    "mask of another size": (lambda folder: Image.new("L", (9, 9)).save(folder / "masks" / "2.png"),
                             "9x9, the image is 32x24"),
    "mask is a text": (lambda folder: (folder / "masks" / "0.png").write_text("hello"), "of an unknown format"),
}


@pytest.mark.slow
def test_bad_items_are_named_and_the_rest_goes_on(tmp_path):
    names = [kind.replace(" ", "_") for kind in BAD]
    raw = write_raw(tmp_path / "raw", [*names, "good1", "good2"])
    for name, (damage, _) in zip(names, BAD.values()):
        damage(raw / name)
    result = prepare("-d", raw)
    assert result.returncode == 1, result.stdout + result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == len(BAD)
    for name, (_, words) in zip(names, BAD.values()):
        assert any(line.startswith("error: ") and str(raw / name) in line and words in line for line in lines), name
        assert not (raw / name / "image.png").exists() and not (raw / name / "mask.png").exists()
    assert f"8 items: 2 made (of 6 parts), 0 kept, {len(BAD)} bad" in result.stdout
    assert all((raw / name / file).is_file() for name in ("good1", "good2") for file in ("image.png", "mask.png"))
    # Mended, only these are made.
    for name in names:
        write_raw(tmp_path / "mended", [name])
        (tmp_path / "mended" / name).rename(tmp_path / name)
        (raw / name).rename(tmp_path / f"bad_{name}")
        (tmp_path / name).rename(raw / name)
    result = prepare("-d", raw)
    assert result.returncode == 0 and f"{len(BAD)} made" in result.stdout and "2 kept, 0 bad" in result.stdout


def test_another_folder_leaves_the_raw_one_alone(tmp_path):
    raw = write_raw(tmp_path / "raw", ["a", "b"])
    before = sorted(raw.rglob("*"))
    result = prepare("--data_path", raw, "--save_path", tmp_path / "out")
    assert result.returncode == 0 and not result.stderr
    assert sorted(raw.rglob("*")) == before
    image, classes = PairReader(image_folders(tmp_path / "out"), Channels(3), MaskOptions())[0]
    assert image.pixels.shape == (24, 32, 3) and set(np.unique(classes)) == {0, 1}
    reader = PairReader(image_folders(tmp_path / "out"), Channels(3), MaskOptions())
    assert np.unique(reader.instances(0)).tolist() == [0, 1, 2, 3]
    assert reader.masks_hold() == "0 and 1, or 0 and 255; objects of 2 in files of their own"


def test_a_target_inside_the_raw_folder_is_no_item(tmp_path):
    raw = write_raw(tmp_path, ["a"])
    for _ in range(2):
        assert run_tasks(nuclei_tasks(raw, raw / "out"), 1).bad == ()


def test_wrong_usage(tmp_path):
    assert_one_line_error(prepare("-d", tmp_path / "nowhere"), "no such data folder", tmp_path / "nowhere")
    assert_one_line_error(prepare("-data_path", tmp_path), "unknown option -data_path")


def test_what_does_not_go_together(tmp_path):
    raw = write_raw(tmp_path / "outer" / "stage1_train", ["a"])
    for words, folder, *more in [("no ID/images/ID.png found", raw.parent),
                                 ("nothing to prepare", raw, "--dataset=folders"),
                                 ("Cell_nuclei has no stacks", raw, "--to_stack=True")]:
        with pytest.raises(UNetError, match=words):
            create_tasks(parse_options(["--dataset=Cell_nuclei", "-d", str(folder), *more], "test"))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UNetError, match="no ID/images/ID.png found"):
        nuclei_tasks(tmp_path, tmp_path)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Enough raw data that a run can be stopped in its middle, and what comes of them."""
    folder = tmp_path_factory.mktemp("many")
    first = write_raw(folder, ["000"], size=(256, 256), masks=20) / "000"
    for name in (f"{number:03d}" for number in range(50)):
        for path in first.glob("*/*.png"):
            link = folder / "raw" / name / path.parent.name / path.name.replace("000", name)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.hardlink_to(path)
    run_tasks(nuclei_tasks(folder / "raw", folder / "whole"))
    return folder


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_is_finished_by_the_next(many, tmp_path, signum):
    command = [*COMMAND, "--data_path", many / "raw", "--save_path", tmp_path]
    process = start(*command, stderr=subprocess.PIPE, start_new_session=True)
    until = time.monotonic() + 300
    while not list(tmp_path.glob("*/mask.png")) and time.monotonic() < until:
        time.sleep(0.005)
    if signum == signal.SIGINT:
        os.killpg(process.pid, signum)      # as Ctrl-C does it: the workers get it too
    else:
        process.send_signal(signum)
    out, err = process.communicate(timeout=300)
    assert process.returncode == (-9 if signum == signal.SIGKILL else 128 + signum), out + err
    until = time.monotonic() + 60
    while _group_runs(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _group_runs(process.pid)     # no worker is left behind
    done = contents(tmp_path)
    assert 0 < len(done) < 150
    whole = contents(many / "whole")
    assert all(whole[path] == data for path, data in done.items()
               if not any(part.startswith(".") for part in path.parts))
    if signum != signal.SIGKILL:
        assert "run the same command again" in out and "Traceback" not in err
        assert done.keys() <= whole.keys() and len(done) % 3 == 0      # no half item, no temporary file
    assert run(*command).returncode == 0
    assert contents(tmp_path) == whole


def _group_runs(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_check_looks_at_what_was_prepared(tmp_path):
    run_tasks(nuclei_tasks(write_raw(tmp_path / "raw", "abcde"), tmp_path / "out"), 1)
    result = run("preprocess_dataset.py", "--dataset=Cell_nuclei", "--num_channels=3", "-d", tmp_path / "out",
                 "--output_path", tmp_path / "seen", "--check=True")
    assert result.returncode == 0, result.stderr
    seen = json.loads((tmp_path / "seen" / "dataset.json").read_text())
    assert (seen["training"]["seen"], seen["validation"]["seen"]) == (4, 1)
