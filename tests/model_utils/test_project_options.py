"""The schema and the YAML files of the project, and what a script says of its options."""
import os
import re

import pytest
import yaml

from src import __version__
from src.model_utils.config import parse_options
from src.model_utils.schema import CONFIGS, DEFAULT_CONFIG, load_schema, options_that_stay
from src.networks.registry import names
from tests.support.scripts import PROJECT, run, run_code

YAML_FILES = sorted(path for path in [*PROJECT.glob("unet_*.yaml"), *CONFIGS.glob("unet_*.yaml")])


def test_defaults_pass_their_own_checks():
    for name, option in load_schema().items():
        assert option.convert(option.default, "test") == option.default, name
        assert option.help and "\n" not in option.help, name


def test_networks_are_the_choices_of_model_name():
    assert load_schema()["model_name"].choices == names()


def test_every_option_says_whether_it_may_change_on_resume():
    """What changes the weights of a run stays; what only evaluation and prediction read does not count there."""
    same, folds = options_that_stay("same"), options_that_stay("folds")
    assert {"use_ds", "amp_level", "cpu_precision", "loss_scale", "lr", "batch_size", "monitor"} <= set(same)
    assert {"tta", "isbi_metrics", "checkpoint_path", "weight_init"} <= set(folds)
    assert {"output_path", "log_interval", "resume"} <= set(options_that_stay("free"))
    assert len(same) + len(folds) + len(options_that_stay("free")) == len(load_schema())


def test_every_key_stands_once_in_default_config():
    keys = re.findall(r"^(\w+):", DEFAULT_CONFIG.read_text(), re.MULTILINE)
    assert len(keys) == len(set(keys)) == len(load_schema())


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_yaml_files_list_only_what_they_change(path):
    values = yaml.safe_load(path.read_text())
    base = values.pop("base_config")
    below = parse_options([f"--config_path={base}"], "test").as_dict()
    resolved = parse_options([f"--config_path={path}"], "test").as_dict()
    # The network is named even where it is the default one: it is what the file is about.
    assert {key for key in values if resolved[key] == below[key]} <= {"model_name"}


# The model zoo's values.
@pytest.mark.parametrize("name, expected", [
    ("unet_medical_config.yaml", dict(
        model_name="unet_medical", image_size=[572, 572], crop=[388, 388], lr=1e-4, epochs=400, repeat=400,
        distribute_epochs=1600, batch_size=16, weight_decay=5e-4, loss_scale=1024.0, FixedLossScaleManager=1024.0,
        keep_checkpoint_max=10, cross_valid_ind=1, num_classes=2, num_channels=1, train_augment=True, eval_resize=False,
        filter_weight=["outc.weight", "outc.bias"], include_background=True, eval_activate="Softmax", width=572)),
    ("unet_medical_gpu_config.yaml", dict(
        model_name="unet_medical", device_target="GPU", image_size=[572, 572], crop=[388, 388], repeat=1, epochs=400,
        batch_size=12, distribute_batchsize=3, distribute_epochs=1600, lr=1e-4)),
    ("unet_simple_config.yaml", dict(
        model_name="unet_simple", image_size=[576, 576], crop=None, repeat=400, epochs=400, distribute_epochs=2400,
        batch_size=16, lr=1e-4, width=576)),
    ("unet_nested_config.yaml", dict(
        model_name="unet_nested", image_size=[576, 576], crop=None, use_ds=True, use_bn=True, use_deconv=True,
        repeat=400, distribute_epochs=1600, lr=1e-4)),
    ("unet_nested_cell_config.yaml", dict(
        model_name="unet_nested", dataset="Cell_nuclei", image_size=[96, 96], lr=3e-4, epochs=200, repeat=10,
        distribute_epochs=1600, batch_size=16, num_channels=3, num_classes=2, use_ds=False, use_bn=False,
        train_augment=False, split=0.8, file_name="unetplusplus", width=96)),
    ("unet_simple_coco_config.yaml", dict(
        model_name="unet_simple", dataset="COCO", split=1.0, image_size=[256, 192], lr=2e-4, epochs=400, repeat=1,
        distribute_epochs=120, num_classes=81, num_channels=3, include_background=False)),
    ("unet_nested_coco_config.yaml", dict(
        model_name="unet_nested", dataset="COCO", split=1.0, image_size=[256, 192], lr=2e-4, epochs=400, repeat=1,
        distribute_epochs=120, num_classes=81, use_ds=True, use_bn=True, use_deconv=True)),
])
def test_values_of_the_model_zoo(name, expected):
    config = parse_options([f"--config_path={name}"], "test").as_dict()
    assert {key: config[key] for key in expected} == expected
    if name.endswith("coco_config.yaml"):
        assert len(config["coco_classes"]) == 81


def answer_in_under_a_second(*argv):
    """In a second of processor time, as other tests may keep the machine busy."""
    before = os.times()
    result = run(*argv)
    after = os.times()
    assert result.returncode == 0
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1
    return result.stdout


def test_help_lists_every_option_in_under_a_second():
    text = answer_in_under_a_second("train.py", "--help")
    for name in load_schema():
        assert f"--{name} " in text
    assert "--config_path" in text


def test_version_in_under_a_second():
    assert answer_in_under_a_second("train.py", "--version") == f"train.py {__version__}\n"


def test_changelog_begins_with_this_version():
    headings = re.findall(r"^## \[(\d.*?)\]", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == __version__


def test_options_load_nothing_heavy():
    code = ("import sys; from src.model_utils.config import parse_options; parse_options([], ''); "
            "print([m for m in ('mindspore', 'numpy', 'cv2') if m in sys.modules])")
    assert run_code(code) == "[]\n"
