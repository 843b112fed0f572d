"""Numbers that files tell, and YAML that means something else than it says."""
import pytest

from src.model_utils.claims import claimed, claimed_int
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.yaml_text import load


@pytest.mark.parametrize("value", [0.5, "0.5", "1e-3", 1, 1000])
def test_numbers_within_bounds(value):
    assert claimed(value, 1e-3, 1e3, "x") == float(value)


@pytest.mark.parametrize("value", [0, -1, "nan", float("inf"), "1e999", 10**400, "text", "", None, True, [1], {}])
def test_others_are_refused(value):
    with pytest.raises(UNetError, match=r"^f.onnx: scale: expected a number from 0.001 to 1000, found '"):
        claimed(value, 1e-3, 1e3, "f.onnx: scale")


def test_whole_numbers():
    assert claimed_int("16", 1, 1024, "x") == 16 and claimed_int(16.0, 1, 1024, "x") == 16
    with pytest.raises(UNetError, match=r"x: expected a whole number, found '1.5'"):
        claimed_int(1.5, 1, 1024, "x")


@pytest.mark.parametrize("text, value", [
    ("1:30", "1:30"), ("190:20:30.15", "190:20:30.15"), ("-1:30", "-1:30"), ("12", 12), ("-12", -12), ("0x1F", 31),
    ("1_000", 1000), ("1.5", 1.5), ("1.5e+3", 1500.0), (".5", 0.5), ("-.inf", float("-inf")), ("true", True),
    ("~", None)])
def test_numbers_in_yaml(text, value):
    assert load(text) == value and type(load(text)) is type(value)


@pytest.mark.parametrize("line, part", [
    ("batch_size: 1:30", "batch_size: expected a whole number, found '1:30'"),
    ("a: &a {lr: 1}\n<<: *a", "not valid YAML: << is not read; write the values out, or name a file as base_config"),
    ("lr: !!int ''", "not valid YAML: a value that is not of the type of its tag"),
    ("lr: !!bool x", "not of the type of its tag"), ("lr: !!timestamp x", "not of the type of its tag"),
    ("image_size: [20001, 16]", "image_size: must be at most 20000"), ("epochs: 10000001", "epochs: must be at most"),
    ("tile_size: 1000000000", "tile_size: must be at most 20000"), ("scale: 1.0e+9", "scale: must be at most 1000")])
def test_configuration(tmp_path, line, part):
    (tmp_path / "a.yaml").write_text(line + "\n")
    with pytest.raises(UNetError) as error:
        parse_options([f"--config_path={tmp_path / 'a.yaml'}"], "")
    assert part in str(error.value)


def test_merges_that_grow_take_no_time(tmp_path):
    """Each level merges the one before nine times."""
    levels = "\n".join(f"{b}: &{b} {{<<: [{', '.join(['*' + a] * 9)}]}}" for a, b in zip("abcdefghi", "bcdefghij"))
    (tmp_path / "a.yaml").write_text(f"a: &a {{lr: 1}}\n{levels}\n")
    with pytest.raises(UNetError, match="<< is not read"):
        parse_options([f"--config_path={tmp_path / 'a.yaml'}"], "")
