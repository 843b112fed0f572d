"""Several checkpoints, and the folds of a folder: the mean of their predictions."""
import numpy as np
import pytest
from PIL import Image

from src.inference.loading import load_network
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training import checkpoint
from src.training.fold_results import write_results
from tests.support.networks import network_of
from tests.support.predictions import SMALL, probabilities

pytestmark = pytest.mark.usefixtures("onnx_is_fastest")


@pytest.mark.slow
def test_several_checkpoints_are_averaged(checkpoints, images):
    paths = [checkpoints / "simple.ckpt", checkpoints / "other.ckpt"]
    both, one, other = (probabilities([*SMALL, f"--checkpoint_file_path={value}"], images / "2.png")
                        for value in (f"{paths[0]},{paths[1]}", *paths))
    np.testing.assert_allclose(both, (one + other) / 2, atol=1e-6)
    assert np.abs(one - other).max() > 0.01


def as_folds(folder, paths):
    """A folder as train_folds.py leaves it, with ``paths`` as the best checkpoints of its folds."""
    for number, path in enumerate(paths, 1):
        place = folder / f"fold_{number}" / "checkpoint" / "ckpt_0"
        place.mkdir(parents=True)
        (place / "best.ckpt").symlink_to(path)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("argv", [["--backend=onnx", "--tta=True"], [
    "--backend=mindspore", "--context_mode=pynative", "--cpu_ops=off"]], ids=["onnx-tta", "mindspore"])
def test_a_folder_of_folds_is_averaged(checkpoints, tmp_path, argv, caplog):
    """In windows that overlap: the mean of the single predictions, a, b and a."""
    caplog.set_level("INFO", "unet")
    paths = [checkpoints / f"{name}.ckpt" for name in ("simple", "other", "simple")]
    folds = as_folds(tmp_path / "folds", paths)
    (tmp_path / "in").mkdir()
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (20, 60), dtype=np.uint8)).save(tmp_path / "in/p.png")
    mean, one, other = (probabilities([*SMALL, *argv, f"--checkpoint_file_path={value}"],
                                      tmp_path / "in" / "p.png") for value in (folds, *paths[:2]))
    np.testing.assert_allclose(mean, (2 * one + other) / 3, atol=1e-6)
    assert np.abs(one - other).max() > 0.01
    assert f"the mean of 3 folds: {folds}/fold_1/checkpoint/ckpt_0/best.ckpt, " in caplog.text
    assert "folds are finished" not in caplog.text


@pytest.mark.slow
def test_a_folder_of_folds_that_are_not_finished(checkpoints, tmp_path, caplog):
    folds = as_folds(tmp_path, [checkpoints / "simple.ckpt"])
    write_results(folds, "", {}, 5)
    assert load_network(parse_options([*SMALL, "--backend=onnx", f"--checkpoint_file_path={folds}"], ""))
    assert "WARNING: only 0 of 5 folds are finished" in caplog.text
    (folds / "fold_2").mkdir()
    with pytest.raises(UNetError, match="fold_2/checkpoint/ckpt_0: no checkpoint of unet_simple"):
        load_network(parse_options([*SMALL, f"--checkpoint_file_path={folds}"], ""))


@pytest.mark.slow
def test_models_of_different_scales_are_not_averaged(checkpoints, images, tmp_path):
    network = network_of(SMALL)
    other = checkpoint.save(network, tmp_path / "half.ckpt", {"step": 1, "scale": 0.5})
    argv = [*SMALL, f"--data_path={images / '2.png'}", "--backend=mindspore", "--cpu_ops=off",
            f"--checkpoint_file_path={checkpoints / 'simple.ckpt'},{other}", f"--output_path={tmp_path / 'out'}"]
    with pytest.raises(UNetError, match=r"different factors \(\[0.5, 1.0\]\); choose one with --scale"):
        load_network(parse_options(argv, ""))
    assert load_network(parse_options([*argv, "--scale=2"], "")).scale == 2
    assert load_network(parse_options([*argv, f"--checkpoint_file_path={other}"], "")).scale == 0.5
    # Folds are of one data set, each with the median of its own images.
    folds = as_folds(tmp_path / "folds", [checkpoints / "simple.ckpt", other])
    assert load_network(parse_options([*argv, f"--checkpoint_file_path={folds}"], "")).scale == 0.75
    folds = as_folds(tmp_path / "more folds", [other, checkpoints / "simple.ckpt", other])
    assert load_network(parse_options([*argv, f"--checkpoint_file_path={folds}"], "")).scale == 0.5
