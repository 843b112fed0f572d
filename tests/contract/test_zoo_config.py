"""src.model_utils.config as scripts of the model zoo use it: the command line is read when an option is first used."""
import argparse
import copy
import json

import pytest
import yaml

from src.model_utils import config as module
from src.model_utils.config import Config, get_config, merge, parse_cli_to_yaml, parse_yaml
from src.model_utils.errors import UNetError
from tests.support.scripts import PROJECT, run_code

# A file of the model zoo, with an option of the user's own.
ZOO_YAML = """
model_name: unet_medical
batch_size: 16
lr: 0.0001
run_eval: False
crop: None
image_size: [572, 572]
train_url: ""
my_option: 3
---
batch_size: "images in a batch"
---
model_name: [unet_medical, unet_nested]
"""


@pytest.fixture
def command_line(monkeypatch):
    """Sets the arguments of the program, and returns a ``config`` that has not been used."""
    def use(*arguments):
        monkeypatch.setattr("sys.argv", ["train.py", *arguments])
        return type(module.config)()
    return use


def test_nothing_is_read_at_import():
    code = """
import sys
sys.argv = ["train.py", "--batch_size=3", "--nonsense"]
from src.model_utils.config import config
from src.model_utils.moxing_adapter import moxing_wrapper
moxing_wrapper()(print)
assert "mindspore" not in sys.modules
sys.argv = ["train.py", "--batch_size=5", "--device_target=CPU"]
print(config.batch_size, config.model_name)
sys.argv = ["train.py", "--batch_size=7"]
print(config.batch_size)
"""
    assert run_code(code) == "5 unet_simple\n5\n"


def test_options_of_the_command_line(command_line):
    config = command_line("--config_path=unet_nested_cell_config.yaml", "--lr=0.5")
    assert (config.model_name, config.image_size, config.lr) == ("unet_nested", [96, 96], 0.5)
    assert config.eval_metrics == "dice_coeff"      # a text, which scripts compare with names
    assert config.device_target in ("Ascend", "GPU", "CPU")     # auto is no device of MindSpore
    assert not hasattr(config, "no_such_option")
    assert isinstance(config, Config) and "'image_size': [96, 96]" in str(config)
    assert vars(command_line("--lr=0.25"))["lr"] == 0.25
    # The file is that of the model zoo if none is given.
    assert command_line().distribute_epochs == 2400
    assert command_line("--eval_metrics=acc,iou").eval_metrics == ["acc", "iou"]


def test_an_option_can_be_set(command_line):
    config = command_line("--batch_size=4")
    config.lr = 1.0
    config.own = "x"
    assert (config.lr, config.own, config.batch_size) == (1.0, "x", 4)
    other = copy.deepcopy(config)
    other.lr = 2.0
    assert config.lr == 1.0 and get_config().lr != 1.0
    assert config.replace(batch_size=8).batch_size == 8


def test_a_wrong_command_line_is_an_error_at_first_use(command_line):
    config = command_line("--nonsense=1")
    with pytest.raises(UNetError, match="unknown option --nonsense"):
        _ = config.lr
    with pytest.raises(UNetError, match="unknown option --nonsense"):
        config.lr = 1


def test_config_of_a_dictionary():
    config = Config({"lr": 0.1, "inner": {"a": 1, "deep": {"b": 2}}, "items": [{"c": 3}, 4], "pair": (1, 2)})
    assert (config.lr, config.inner.a, config.inner.deep.b, config.items[0].c, config.items[1]) == (0.1, 1, 2, 3, 4)
    assert config.pair == [1, 2]
    config.lr = 0.2
    assert config.lr == 0.2 and "'lr': 0.2" in repr(config)
    with pytest.raises(AttributeError, match="no option named 'x'"):
        _ = config.x


def test_parse_yaml(tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text(ZOO_YAML)
    values, helps, choices = parse_yaml(path)
    assert values == next(yaml.safe_load_all(ZOO_YAML)) and values["crop"] == "None"
    assert (helps, choices) == ({"batch_size": "images in a batch"}, {"model_name": ["unet_medical", "unet_nested"]})
    path.write_text("lr: 1\n")
    assert parse_yaml(str(path)) == ({"lr": 1}, {}, {})
    values, helps, choices = parse_yaml(PROJECT / "unet_medical_config.yaml")
    assert (values["crop"], values["batch_size"]) == ([388, 388], 16) and "unet_medical" in choices["model_name"]
    assert set(values) == set(helps)
    with pytest.raises(UNetError, match="no such configuration file"):
        parse_yaml(tmp_path / "none.yaml")


def test_the_steps_of_get_config(tmp_path, command_line):
    """As get_config of the model zoo calls them, for a file with an option of the user's own."""
    (tmp_path / "zoo.yaml").write_text(ZOO_YAML)
    command_line(f"--config_path={tmp_path / 'zoo.yaml'}", "--batch_size=4", "--run_eval=True", "--my_option=5")
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config_path")
    given, _ = parser.parse_known_args()
    values, helps, choices = parse_yaml(given.config_path)
    arguments = parse_cli_to_yaml(parser=parser, cfg=values, helper=helps, choices=choices, cfg_path=given.config_path)
    config = Config(merge(arguments, values))
    assert (config.batch_size, config.run_eval, config.my_option, config.lr) == (4, True, 5, 0.0001)
    assert (config.image_size, config.crop, config.train_url) == ([572, 572], "None", "")
    json.dumps(vars(config))


@pytest.mark.parametrize("argument, part", [
    ("--no=1", "--no"), ("--a=x", "a: expected a whole number, found 'x'"), ("--b=3", "b: '3' is not one of x, y"),
    ("--c=maybe", "c: expected True or False"), ("--d=1", "--d")])
def test_what_parse_cli_to_yaml_refuses(argument, part, command_line):
    command_line(argument)
    with pytest.raises(UNetError, match=part):
        parse_cli_to_yaml(argparse.ArgumentParser(add_help=False), {"a": 1, "b": "x", "c": True, "d": [1], "e": None},
                          choices={"b": ["x", "y"]})
