"""The options of the network's input: stored with a network, followed with it, and contradicted by nobody."""
import numpy as np
import pytest
import tifffile

from src.data.input_options import follow, from_text, input_options, network_input, to_text
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError

STORED = {"normalize": "zscore", "normalize_percentiles": [2.0, 98.0], "input_range": [0, 1], "channels": [3, 0]}
IMAGE = np.arange(12 * 9 * 4, dtype=np.uint16).reshape(12, 9, 4)


def options(*argv):
    return parse_options(["--num_channels=2", *argv], "")


def test_what_is_stored_comes_back():
    assert input_options({**STORED, "step": 7}) == {**STORED, "feature_scale": 2}
    assert from_text({**to_text(STORED), "scale": "1"}, "a.onnx") == STORED
    assert input_options(None) == input_options({"step": 0}) == {}      # weights of another program say nothing
    assert input_options({"step": 7, "scale": 1.0}) == {"normalize": "range", "feature_scale": 2}
    with pytest.raises(UNetError, match=r"a\.onnx: its metadata"):
        from_text({"channels": "[3"}, "a.onnx")


def test_what_is_stored_is_followed():
    config = follow(options(), STORED, "a.ckpt")
    assert {name: getattr(config, name) for name in STORED} == STORED
    assert follow(options("--normalize=auto"), STORED, "a.ckpt").normalize == "zscore"
    assert follow(options("--normalize=range"), {"normalize": "auto"}, "a.ckpt").normalize == "range"
    assert follow(options("--normalize=minmax"), {}, "a.ckpt").normalize == "minmax"


def test_files_of_another_order_than_those_of_training(caplog):
    """Trained on RGB files, the network predicts files whose bands are blue, green, red and near infrared."""
    with caplog.at_level("INFO", "unet"):
        assert follow(options("--channels=[0,1]"), {**STORED, "channels": []}, "a.ckpt").channels == [0, 1]
    assert "of these files, the channels [0, 1] are taken" in caplog.text


@pytest.mark.parametrize(("given", "words"), [
    ("--normalize=range", "normalize is range, but a.ckpt was trained with normalize zscore; leave normalize out"),
    ("--input_range=[-1,1]", "input_range is [-1, 1], but a.ckpt was trained with input_range [0, 1]"),
    ("--channels=[0,1]", "channels is [0, 1], but a.ckpt was trained with channels [3, 0]"),
    ("--normalize_percentiles=[1,99]", "normalize_percentiles is [1.0, 99.0], but a.ckpt was trained with")])
def test_contradictions_name_both_sides(given, words):
    with pytest.raises(UNetError) as caught:
        follow(options(given), STORED, "a.ckpt")
    assert words in str(caught.value)


def test_the_input_of_a_file(tmp_path):
    """Channels 3 and 0 with mean 0 and deviation 1; an array has them already."""
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, photometric="minisblack", planarconfig="contig")
    config = follow(options(), STORED, "a.ckpt")
    picked = IMAGE[..., [3, 0]].astype(np.float64)
    expected = (picked - picked.mean(axis=(0, 1))) / picked.std(axis=(0, 1))
    for image in (tmp_path / "a.tif", IMAGE[..., [3, 0]]):
        made = network_input(image, config)
        assert made.shape == (1, 2, 12, 9) and made.dtype == np.float32
        np.testing.assert_allclose(made[0].transpose(1, 2, 0), expected, atol=1e-5)
