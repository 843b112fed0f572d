"""Weights of the classes: given ones, and those from the frequencies in the training masks."""
import logging

import pytest

from src.data.samples import create_samples
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.files import CLASS_COUNTS_JSON
from src.model_utils.ranks import Ranks
from src.training.class_weights import class_weights, given_weights, weights_by_frequency


def test_weights_from_the_frequency(caplog):
    """Inversely proportional, the mean over the pixels 1; of a class without a pixel 1."""
    caplog.set_level(logging.INFO, "unet")
    assert weights_by_frequency([30, 10, 0], 50.0) == pytest.approx([2 / 3, 2, 1])
    assert caplog.messages == ["class_weights auto: class 0 0.6667, class 1 2, class 2 1"]


def test_weights_are_cut(caplog):
    """Of 1,000,000 pixels 100 are of class 1: its inverse frequency would be 5000."""
    assert weights_by_frequency([999_900, 100], 50.0) == pytest.approx([0.50005, 50])
    assert caplog.messages == ["WARNING: weights cut at class_weights_max 50: class 1 5000"]


def test_given_weights():
    assert given_weights(["1", "2.5"], 2) == [1, 2.5]


@pytest.mark.parametrize("option, words", [
    (["1", "2", "3"], "expected 2 weights"), (["1", "x"], "expected numbers, or auto"),
    (["1", "-1"], "of at least 0"), (["1", "nan"], "of at least 0")])
def test_weights_that_cannot_be(option, words):
    with pytest.raises(UNetError, match=words):
        given_weights(option, 2)


def test_the_counts_are_kept_by_the_folder_of_the_run(nuclei, tmp_path):
    """A later start takes them from there."""
    config = parse_options([f"--data_path={nuclei}", "--dataset=folders", "--num_channels=3", "--class_weights=auto",
                            f"--output_path={tmp_path}"], "")
    samples, _ = create_samples(config)
    weights = class_weights(config, samples, Ranks())
    assert sum(samples.class_counts.pixels) == 8 * 40 * 48 and len(weights) == 2
    samples.class_counts.save(tmp_path / CLASS_COUNTS_JSON)
    assert class_weights(config, samples, Ranks()) == weights
    assert class_weights(config.replace(class_weights=[]), samples, Ranks()) is None
