"""The option class_values: its forms, and what is refused."""
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.class_values import code, count_values, pack_colours, parse, resolve, translate, unpack_colour
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError


def given_on(line, num_classes):
    return parse(parse_options([f"--class_values={line}"], "").class_values, num_classes)


@pytest.mark.parametrize("line, numbers, colours, names", [
    ("[0, 29, 76]", {0: 0, 29: 1, 76: 2}, {}, []),
    ("0,[29,30],76", {0: 0, 29: 1, 30: 1, 76: 2}, {}, []),
    ('["#000000", "#ff0000", "#0F0"]', {}, {(0, 0, 0): 0, (255, 0, 0): 1, (0, 255, 0): 2}, []),
    ("[#000000,#ff0000,#00ff00]", {}, {(0, 0, 0): 0, (255, 0, 0): 1, (0, 255, 0): 2}, []),
    ('{background: 0, nucleus: [1, 2], edge: "#00ff00"}', {0: 0, 1: 1, 2: 1}, {(0, 255, 0): 2},
     ["background", "nucleus", "edge"]),
    ("[background, cell, edge]", {0: 0, 1: 1, 2: 2}, {}, ["background", "cell", "edge"])])
def test_forms_on_the_command_line(line, numbers, colours, names):
    values = given_on(line, 3)
    assert (values.numbers, values.colours, values.names) == (numbers, colours, names)


def test_in_a_yaml_file_and_back(tmp_path):
    (tmp_path / "a.yaml").write_text('class_values: {none: 0, cell: [1, "#ff0000"]}\nignore_index: "#808080"\n')
    config = parse_options([f"--config_path={tmp_path / 'a.yaml'}"], "")
    config.save(tmp_path / "b.yaml")
    again = parse_options([f"--config_path={tmp_path / 'b.yaml'}"], "")
    assert again.class_values == config.class_values == {"none": 0, "cell": [1, "#ff0000"]}
    assert again.ignore_index == "#808080" and parse_options(["--ignore_index=255"], "").ignore_index == 255
    assert parse_options(["--ignore_index=None"], "").ignore_index is None


@pytest.mark.parametrize("line, part", [
    ("[0, 1, 2]", "class_values has 3 classes, num_classes is 2"), ("[0, 0]", "0 is named for the classes 0 and 1"),
    ('[255, "#ffffff"]', "#ffffff is named for the classes 0 and 1"), ("[0, cell]", "'cell' found; expected a number"),
    ("[other, other]", "other is named for the classes 0 and 1"), ("[cell, cell]", "named twice"),
    ("{a: 0, b: }", "expected numbers or colours"), ("{a: 0, b: 1.5}", "expected numbers or colours"),
    ("[0, [1, [2]]]", "expected numbers or colours"), ("[0", "expected numbers or colours")])
def test_refusals(line, part):
    with pytest.raises(UNetError, match=part):
        given_on(line, 2)


def test_gray_colours_are_numbers_and_other_is_the_rest():
    values = given_on('["#000000", 255, other]', 3)
    assert [values.of_number(number) for number in (0, 255, 7, 2**31)] == [0, 1, 2, 2]
    assert [values.of_colour(colour) for colour in ((0, 0, 0), (255,) * 3, (1, 2, 3))] == [0, 1, 2]
    assert given_on("[0, 255]", 2).of_number(7) is None


def test_the_file_beside_the_data(tmp_path):
    """With or without a byte order mark; the option comes first."""
    assert resolve([], tmp_path, 2) is None and resolve([], tmp_path / "none", 2) is None
    (tmp_path / "classes.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(["background", "cell"]).encode())
    assert resolve([], tmp_path, 2).names == ["background", "cell"]
    assert resolve([0, 7], tmp_path, 2).numbers == {0: 0, 7: 1}
    with pytest.raises(UNetError, match=r"classes.json has 2 classes, num_classes is 3"):
        resolve([], tmp_path, 3)
    (tmp_path / "classes.json").write_text('{"a": null}')
    with pytest.raises(UNetError, match="classes.json: expected a list of classes, or a dictionary"):
        resolve([], tmp_path, 2)


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1))
def test_packed_colours(colours):
    packed = pack_colours(np.array(colours, np.uint8))
    assert [unpack_colour(number) for number in packed.tolist()] == colours


def test_codes():
    assert code("#0000ff", True) == 255 and code("#0000ff", False) is None and code(255, True) == 0xFFFFFF
    assert code("#070707", False) == 7 and code(-1, False) == -1 and code(-1, True) is None


@given(st.sampled_from(["uint8", "uint16", "int16", "int64"]), st.integers(0, 2**32 - 1))
def test_translation(dtype, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 200, (5, 7)).astype(dtype)
    counts = count_values(numbers)
    assert counts == {value: int((numbers == value).sum()) for value in sorted(set(numbers.ravel().tolist()))}
    of_number = {value: value % 13 for value in counts}
    np.testing.assert_array_equal(translate(numbers, of_number), numbers % 13)
