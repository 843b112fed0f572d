"""Fitting the options of objects, and following what was fitted."""
import json
import os
from dataclasses import replace

import numpy as np
import pytest

from src.data.samples import create_samples
from src.data.synthetic_cells import make_cells, write_cells
from src.evaluation.object_fit import FITTED, LIMITS, KnownImage, _accuracies, accuracy, fit, fitted_path, with_fitted
from src.evaluation.objects import ObjectOptions
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.report.object_fit import fit_objects, fit_or_follow


def known(has_rim=False):
    """Two images, of which a network is only right above 0.7, and sees specks of three pixels."""
    images = []
    for seed in (1, 2):
        _, true = make_cells(96, np.random.default_rng(seed))
        foreground = np.where(true > 0, 0.9, 0.65).astype(np.float32)
        foreground[2::12, 3:6] = np.maximum(0.85, foreground[2::12, 3:6])
        probabilities = np.stack([1 - foreground, foreground], axis=-1)
        images.append(KnownImage(probabilities, foreground - 0.2 if has_rim else None, true.astype(np.int32)))
    return images


def test_the_fit_finds_threshold_and_size():
    images, start = known(), ObjectOptions(split="components", fill_holes=False)
    best, score = fit(images, start)
    assert best.threshold == 0.7 and best.min_size == 5 and best.split == "components"
    assert score == accuracy(images, best) > accuracy(images, start)


def test_the_fit_finds_the_least_probability():
    """The network is a little less certain of a region where there is nothing, as large as the object."""
    true = np.zeros((40, 40), np.int32)
    true[5:15, 5:15] = 1
    foreground = np.where(true > 0, 0.9, 0.1).astype(np.float32)
    foreground[20:30, 20:30] = 0.82
    image = KnownImage(np.stack([1 - foreground, foreground], axis=-1), None, true)
    best, score = fit([image], ObjectOptions(split="components"))
    assert best.min_probability == 0.85 and best.min_size == 0 and score == 1


@pytest.mark.parametrize("has_rim", [False, True])
def test_accuracies_with_all_limits(has_rim):
    """Those that the objects of each have when they are found anew, also where nothing is true or found."""
    nothing = np.stack([np.ones((9, 9), np.float32), np.zeros((9, 9), np.float32)], axis=-1)
    empty = KnownImage(nothing, nothing[..., 1] if has_rim else None, np.zeros((9, 9), np.int32))
    for image in [*known(has_rim), empty]:
        for options in (ObjectOptions(threshold=0.7, seed_threshold=0.4), ObjectOptions(threshold=0.8, min_distance=2)):
            np.testing.assert_allclose(_accuracies(image, options),
                                       [accuracy([image], replace(options, **limit)) for limit in LIMITS])


def test_options_are_stored_and_followed(tmp_path, caplog):
    write_cells(tmp_path / "data", 4, 64, 1)
    (tmp_path / "best.ckpt").touch()
    config = parse_options(["--dataset=folders", f"--data_path={tmp_path / 'data'}", "--image_size=[64, 64]",
                            "--object_split=components", "--fit_objects=True", "--split=0.5"], "")
    train, validation = create_samples(config)
    answers = iter([train.as_validation()[index][1] for index in range(2)])
    fitted = fit_or_follow(lambda images: np.eye(2, dtype=np.float32)[next(answers)][None], validation, config,
                           tmp_path / "best.ckpt")
    stored = json.loads((tmp_path / FITTED).read_text())
    assert stored["images"] == 2 and stored["object_threshold"] == fitted.object_threshold == 0.3
    caplog.set_level("INFO", "unet")
    # That of the run, which has all options.
    (tmp_path / "config.yaml").write_text("object_threshold: 0.5\nobject_min_size: 0\n")
    followed = with_fitted(parse_options([f"--config_path={tmp_path / 'config.yaml'}", "--object_min_size=7"], ""),
                           tmp_path / "best.ckpt")
    assert followed.object_threshold == 0.3 and followed.object_min_size == 7
    assert "objects as fitted" in caplog.text and "object_threshold 0.3" in caplog.text


def test_folds_have_the_file_in_their_folder(tmp_path):
    (tmp_path / "folds").mkdir()
    assert fitted_path(tmp_path / "folds") == tmp_path / "folds" / FITTED
    assert fitted_path(tmp_path / "best.ckpt") == tmp_path / FITTED


def test_several_checkpoints_cannot_be_fitted_nor_followed(tmp_path):
    several = f"{tmp_path / 'a.ckpt'},{tmp_path / 'b.ckpt'}"
    (tmp_path / FITTED).write_text("{")
    config = parse_options(["--fit_objects=True"], "")
    assert with_fitted(config, several) is config
    with pytest.raises(UNetError, match="beside one checkpoint, or in the folder of the folds, and .* are several"):
        fit_objects(None, [], config, several)


def test_without_a_file_options_stay_and_a_damaged_one_is_named(tmp_path):
    config = parse_options([], "")
    (tmp_path / "best.ckpt").touch()
    assert with_fitted(config, tmp_path / "best.ckpt") is config
    for text in ("{", "[]", '{"object_threshold": 0.5}'):
        (tmp_path / FITTED).write_text(text)
        with pytest.raises(UNetError, match="not the file that eval.py --fit_objects=True writes"):
            with_fitted(config, tmp_path / "best.ckpt")


def test_more_classes_are_refused(tmp_path):
    write_cells(tmp_path, 2, 64, 1)
    config = parse_options(["--dataset=folders", f"--data_path={tmp_path}", "--fit_objects=True"], "")
    validation = create_samples(config)[1]
    with pytest.raises(UNetError, match="fits objects of one class"):
        fit_or_follow(lambda images: images, validation, parse_options([f"--data_path={tmp_path}", "--num_classes=3",
                                                                        "--dataset=folders", "--fit_objects=True",
                                                                        "--class_values=[0, 1, 255]"], ""), tmp_path)


@pytest.mark.parametrize("text", ["[1]", "[" * 100_000, "{", '{"object_threshold": 1}'])
def test_a_file_that_is_not_of_a_fit(tmp_path, text):
    (tmp_path / "best.ckpt").touch()
    (tmp_path / FITTED).write_text(text)
    with pytest.raises(UNetError, match=r"objects\.json: not the file that eval\.py --fit_objects=True writes"):
        with_fitted(parse_options([], ""), tmp_path / "best.ckpt")


@pytest.mark.parametrize("value", ['"x"', "99", "1e999", "[]"])
def test_values_that_no_option_has(tmp_path, value):
    (tmp_path / "best.ckpt").touch()
    good = {"object_threshold": 0.5, "object_seed_threshold": 0.5, "object_min_distance": 3, "object_min_size": 0}
    (tmp_path / FITTED).write_text(json.dumps(good)[:-1] + f', "object_min_probability": {value}}}')
    with pytest.raises(UNetError, match=r"objects\.json: not the file .*object_min_probability"):
        with_fitted(parse_options([], ""), tmp_path / "best.ckpt")


def test_a_fifo_instead_of_the_file(tmp_path):
    (tmp_path / "best.ckpt").touch()
    os.mkfifo(tmp_path / FITTED)
    with pytest.raises(UNetError, match=r"objects\.json: not the file .* a FIFO"):
        with_fitted(parse_options([], ""), tmp_path / "best.ckpt")
