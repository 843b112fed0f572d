"""Options: defaults, YAML files, the command line, and what is refused."""
import os
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from src import __version__
from src.model_utils.config import CONFIGS, DEFAULT_CONFIG, load_schema, options_that_stay, parse_options
from src.model_utils.errors import UNetError
from src.networks.registry import names
from tests.support.scripts import PROJECT, run, run_code

YAML_FILES = sorted(path for path in [*PROJECT.glob("unet_*.yaml"), *CONFIGS.glob("unet_*.yaml")])


def options(*argv):
    return parse_options(list(argv), "test")


def refused(*argv):
    with pytest.raises(UNetError) as caught:
        options(*argv)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(tmp_path, text, name="some.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return f"--config_path={path}"


# ---- the schema and the files of the project


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
    below = options(f"--config_path={base}").as_dict()
    resolved = options(f"--config_path={path}").as_dict()
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
    config = options(f"--config_path={name}").as_dict()
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


# ---- reading


def test_the_projects_files_are_found_by_their_names(caplog, tmp_path, monkeypatch):
    """Also with the folder of another checkout in front; a file that is there comes first."""
    monkeypatch.chdir(tmp_path)
    named = [options(f"--config_path={path}unet_nested_config.yaml") for path in ("", "/no/such/folder/")]
    assert named[0].as_dict() == named[1].as_dict() and named[0].model_name == "unet_nested"
    assert caplog.messages == [f"WARNING: no such file: /no/such/folder/unet_nested_config.yaml; using "
                               f"{CONFIGS / 'unet_nested_config.yaml'}"]
    assert options("--config_path=unet_simple_config.yaml").distribute_epochs == 2400
    write(tmp_path, "model_name: unet_keras", "unet_nested_config.yaml")
    assert options("--config_path=unet_nested_config.yaml").model_name == "unet_keras"
    assert f"no such configuration file: {tmp_path}/x/none.yaml" in refused("--config_path=x/none.yaml")


def test_base_config_is_beside_the_file_or_in_the_project(tmp_path):
    """A name with a folder is that of this file, not a hint at a file of the project."""
    base = options(write(tmp_path, "base_config: unet_nested_config.yaml\nlr: 0.5\n"))
    assert (base.model_name, base.lr) == ("unet_nested", 0.5)
    assert options(write(tmp_path, "base_config: configs/unet_keras_config.yaml")).model_name == "unet_keras"
    assert "no such configuration file" in refused(write(tmp_path, "base_config: typo/unet_nested_config.yaml"))


def test_later_sources_win(tmp_path):
    write(tmp_path, "base_config: default_config.yaml\nlr: 0.5\nepochs: 800\nbatch_size: 3\n", "below.yaml")
    path = write(tmp_path, "base_config: below.yaml\nlr: 0.25\nepochs: 1200\n")
    config = options(path, "--epochs=1600")
    assert (config.batch_size, config.lr, config.epochs, config.weight_decay) == (3, 0.25, 1600, 5e-4)


@pytest.mark.parametrize("argv, key, value", [
    (["--lr=1e-3"], "lr", 1e-3),
    (["--lr", "0.5"], "lr", 0.5),
    (["--image_size=[256, 128]"], "image_size", [256, 128]),
    (["--image_size=256,128"], "image_size", [256, 128]),
    (["--crop=[388,388]"], "crop", [388, 388]),
    (["--crop=None"], "crop", None),
    (["--run_eval=True"], "run_eval", True),
    (["--run_eval"], "run_eval", True),
    (["--use_bn=false"], "use_bn", False),
    (["--filter_weight=[a.b, c]"], "filter_weight", ["a.b", "c"]),
    (["--color=[[1,2,3],[4,5,6]]"], "color", [[1, 2, 3], [4, 5, 6]]),
    (["--device_target=cpu"], "device_target", "CPU"),
    (["--cpu_ops=off"], "cpu_ops", "off"),
    (["--data_path=a b: [c"], "data_path", "a b: [c"),
    (["--output=x"], "output_path", "x"),
    (["--ckpt_path", "x.ckpt"], "checkpoint_file_path", "x.ckpt"),
    (["--data_url=/d"], "data_path", "/d"),
    (["--data_url=/d", "--data_path=/e"], "data_path", "/e"),
])
def test_command_line(argv, key, value):
    assert getattr(options(*argv), key) == value


def test_files_of_the_model_zoo_work_as_they_are(tmp_path):
    path = write(tmp_path, """
# Builtin Configurations
enable_modelarts: False
data_url: ""
data_path: "/cache/data"
device_target: "CPU"
model_name: 'unet_simple'
crop: None
split : 0.75
image_size : [576, 576]
lr: 1e-4
cpu_ops: off
---
# Help description for each configuration
data_path: "Dataset path for local"
some_other_key: "help for a key that is gone"
---
device_target: ['Ascend', 'GPU', 'CPU']
model_name: ['unet_medical', 'unet_nested', 'unet_simple']
""")
    config = options(path)
    assert (config.crop, config.image_size, config.data_path, config.lr) == (None, [576, 576], "/cache/data", 1e-4)
    assert (config.split, config.cpu_ops) == (0.75, "off")


def test_choices_of_the_file_count(tmp_path):
    text = "model_name: unet_nested\n---\n{}\n---\nmodel_name: [unet_medical]\n"
    message = refused(write(tmp_path, text))
    assert "some.yaml" in message and "unet_nested" in message


def test_choices_of_a_list(tmp_path):
    """One name or several, each of which must be a choice."""
    of_the_model_zoo = write(tmp_path, "eval_metrics: dice_coeff\n")
    assert options().eval_metrics == options(of_the_model_zoo).eval_metrics == ["dice_coeff"]
    assert options("--eval_metrics=IoU,spec").eval_metrics == ["iou", "spec"]
    message = refused("--eval_metrics=[acc,hard_dise]")
    assert "'hard_dise' is not one of dice_coeff, iou, acc, hard_iou, hard_dice, sens, spec" in message
    assert "did you mean hard_dice?" in message
    own = "eval_metrics: {}\n---\n{{}}\n---\neval_metrics: [dice_coeff, iou]\n"
    assert options(write(tmp_path, own.format("iou"))).eval_metrics == ["iou"]
    assert "is not one of the file's own choices" in refused(write(tmp_path, own.format("[iou, acc]")))


def test_saved_options_read_back(tmp_path):
    config = options(f"--config_path={PROJECT / 'unet_nested_cell_config.yaml'}", "--crop=[92,92]", "--data_path=d e")
    config.save(tmp_path / "sub" / "config.yaml")
    assert options(f"--config_path={tmp_path / 'sub' / 'config.yaml'}").as_dict() == config.as_dict()


def test_config_is_frozen():
    config = options()
    with pytest.raises(AttributeError):
        config.lr = 1.0
    with pytest.raises(AttributeError):
        _ = config.no_such_option
    assert config.replace(lr="0.5").lr == 0.5 and config.lr == 1e-4
    with pytest.raises(UNetError):
        config.replace(lr="x")


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=2), st.floats(1e-9, 1e3), st.booleans())
def test_values_survive_the_command_line(size, lr, flag):
    config = options(f"--image_size={size}", f"--lr={lr!r}", f"--run_eval={flag}")
    assert (config.image_size, config.lr, config.run_eval) == (size, lr, flag)


# ---- refusing: one line that says what was found, what was expected, where


@pytest.mark.parametrize("argv, parts", [
    (["--lrr=1"], ["--lrr", "did you mean --lr"]),
    (["--batchsize=4"], ["did you mean --batch_size"]),
    (["nonsense"], ["nonsense"]),
    (["--lr=fast"], ["lr", "a number", "'fast'"]),
    (["--batch_size=2.5"], ["batch_size", "a whole number"]),
    (["--batch_size=0"], ["batch_size", "at least 1", "found 0"]),
    (["--lr=0"], ["lr", "more than 0"]),
    (["--lr=nan"], ["lr", "nan"]),
    (["--split=1.5"], ["split", "at most 1"]),
    (["--run_eval=maybe"], ["run_eval", "True or False"]),
    (["--image_size=256"], ["image_size", "2 values"]),
    (["--image_size=[256,x]"], ["image_size", "list of whole numbers"]),
    (["--image_size=[256"], ["image_size"]),
    (["--model_name=unet_simpel"], ["unet_simpel", "did you mean unet_simple"]),
    (["--model_name=xyz"], ["'xyz' is not one of unet_bilinear, ", ", unet_simple"]),
    (["--config_path=/no/such.yaml"], ["/no/such.yaml", "--config_path"]),
    (["--enable_profiling=maybe"], ["enable_profiling", "True or False"]),
    (["--lr"], ["--lr"]),
])
def test_wrong_options(argv, parts):
    message = refused(*argv)
    for part in parts:
        assert part in message


@pytest.mark.parametrize("text, part", [
    ("lr: [", "not valid YAML"),
    ("\tlr: 1", "not valid YAML"),
    ("lr: !!python/object/apply:os.system [true]", "not valid YAML"),
    ("- a\n- b\n", "key: value"),
    ("just text", "key: value"),
    ("learning_rate: 1", "unknown option 'learning_rate'"),
    ("lr: {a: 1}", "a number"),
    ("1: 2", "unknown option 1"),
    ("a: 1\n---\nb: 2\n---\nc: 3\n---\nd: 4\n", "4 YAML documents"),
    ("base_config: nowhere.yaml", "nowhere.yaml"),
    ("base_config: some.yaml", "leads back"),
    ("lr: &a [" + ", ".join(["x"] * 50) + "]\nbatch_size: [*a, *a]", "expected"),
])
def test_wrong_files(tmp_path, text, part):
    message = refused(write(tmp_path, text))
    assert part in message and len(message) < 500


def test_file_that_is_not_text(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01" * 100)
    assert "x.yaml" in refused(f"--config_path={path}")
    assert str(tmp_path) in refused(f"--config_path={tmp_path}")
