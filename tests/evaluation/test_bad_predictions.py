"""Predictions that are none end an evaluation; metrics.json is JSON whatever the scores are."""
import json

import numpy as np
import pytest

from src.data.file_structure import FileStructure
from src.data.image_files import ImageFile
from src.evaluation.evaluate import BadPrediction, ScoreOptions, evaluate
from src.inference.mask_writer import MaskOptions, MaskWriter
from src.model_utils.errors import UNetError
from src.model_utils.files import json_bytes, natural


class OneImage:
    """A label of 4x4 pixels of two classes."""
    num_classes, keep_label_size = 2, False

    def __init__(self, keep_label_size=False):
        self.keep_label_size = keep_label_size

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return np.zeros((1, 4, 4), np.float32), np.eye(4, dtype=np.uint8)

    def name(self, index):
        return "one"


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("side", [4, 2])
def test_not_a_number(value, side):
    """Also where it is resized, as 8-bit maps."""
    output = np.full((1, side, side, 2), 0.5, np.float32)
    output[0, 1, 1, 0] = value
    with pytest.raises(UNetError, match="^one: .*no numbers"):
        evaluate(lambda _: output, OneImage(keep_label_size=True), ScoreOptions("Softmax"))


@pytest.mark.parametrize("number", [-1, 2])
def test_numbers_of_no_class(number):
    output = np.zeros((1, 4, 4), np.int32)
    output[0, 0, 0] = number
    with pytest.raises(UNetError, match="^one: .*class numbers from .* expected 0 to 1"):
        evaluate(lambda _: output, OneImage(), ScoreOptions("Argmax"))


@pytest.mark.parametrize("pages", [1, 2])
def test_prediction_of_no_numbers(tmp_path, pages):
    """predict.py names the file and the page, and writes no mask."""
    writer = MaskWriter(MaskOptions(tmp_path))
    rows = np.full((4, 4, 2), 0.5, np.float32)
    rows[3, 3, 1] = np.nan
    with pytest.raises(BadPrediction, match="no numbers"), writer.open(
            ImageFile(tmp_path / "a.tif", "a"), FileStructure(pages, True)) as output:
        output.add((4, 4), iter([rows]), lambda: iter([]))
    assert not list((tmp_path / "predictions").glob("a*"))


def test_json_without_nan():
    value = {"a": [float("nan"), 1.5, (float("inf"),)], "b": {"c": None, "d": "nan"}, "caf\udce9": ["\udce9", 3]}
    assert json.loads(json_bytes(value)) == {"a": [None, 1.5, [None]], "b": {"c": None, "d": "nan"},
                                             "caf\\xe9": ["\\xe9", 3]}


def test_names_with_other_digits_are_sorted():
    """Python takes \u00b2 for a digit, and int() does not."""
    assert sorted(["10", "\u00b2", "2", "\u0664"], key=natural) == ["2", "10", "\u00b2", "\u0664"]
