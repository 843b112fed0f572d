"""YAML texts that would take long: many values, deep lists, long names."""
import pytest

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.yaml_text import load
from tests.support.alarm import in_time

DEEP = "[" * 150 + "]" * 150 + ","


@pytest.mark.parametrize("text, part", [
    ("lr: [" + DEEP * 3000 + "]", "line 1: more than 20 lists in one another"),
    ("image_size: '[" + DEEP * 3000 + "]'", "two whole numbers"),
    ('image_size: "[' + DEEP.replace("[", r"\x5b") * 1000 + ']"', "two whole numbers"),
    ("lr: [" + "1," * 450_000 + "]", "more than 20000 values"), ("--- \n" * 190_000, "more than 20000 values"),
    ("lr:\n" + " -\n" * 300_000, "more than 20000 values"),
    ("class_values: [&a [" + "1," * 9000 + "]," + "*a," * 9000 + "]", r"line 1: \*a stands for a list; write it out"),
    ("? " + "_".join(f"ab{number}" for number in range(100_000)) + "\n: 1", "unknown option"),
    ("dataset: " + "ab_" * 300_000, "is not one of"),
], ids=["deep", "quoted", "escaped", "many", "documents", "rows", "multiplied", "long key", "long choice"])
def test_values_without_bounds(tmp_path, text, part):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with in_time(10), pytest.raises(UNetError, match=part) as caught:
        parse_options([f"--config_path={path}"], "")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_tables_and_texts_of_any_length_are_read():
    colours = [[number % 256] * 3 for number in range(1000)]
    assert load(str(colours)) == colours
    assert load("a: " + "x" * 200_000)["a"] == "x" * 200_000
    assert load("{a: &x 3, b: *x}") == {"a": 3, "b": 3}
