"""Options from YAML files and the command line, and what is refused."""
import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.schema import CONFIGS
from tests.support.scripts import PROJECT


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


def test_options_can_be_copied_and_sent_to_processes():
    config = options("--lr=0.5", "--image_size=[96,96]")
    for again in (pickle.loads(pickle.dumps(config)), copy.copy(config), copy.deepcopy(config)):
        assert again.as_dict() == config.as_dict() and again.lr == 0.5


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
    (["--image_size=Native"], "image_size", "native"),
    (["--train_crop=256"], "train_crop", 256),
    (["--train_crop=[128, 256]"], "train_crop", [128, 256]),
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
    (["--learning_rate=0.5"], "lr", 0.5),
    (["--train_epochs", "7"], "epochs", 7),
])
def test_command_line(argv, key, value):
    assert getattr(options(*argv), key) == value


def test_data_url_of_a_yaml_file_is_not_data_path(tmp_path):
    """There it is the address for ModelArts, as in the model zoo; on the command line it is the older name."""
    path = write(tmp_path, "data_url: obs://bucket/data\ndata_path: /d")
    assert options(path).data_path == "/d"
    assert options(path, "--enable_modelarts=True").data_path == "/d"
    assert options(path, "--data_url=/e").data_path == "/e"
    assert options(path, "--data_url=obs://x", "--enable_modelarts=True").data_path == "/d"
    assert options(write(tmp_path, "data_url: /x")).data_path == "./data"


def test_relative_paths_are_those_of_the_folder_where_a_launcher_was_called(tmp_path, monkeypatch):
    path = write(tmp_path, "output_path: out\nsplits: a/splits.json\nresume_ckpt: auto\nload_path: /l\nanno_json: ''\n"
                           "checkpoint_path: ckpt\ntrain_url: out")
    assert options(path).output_path == "out"
    monkeypatch.setenv("UNET_CALLED_FROM", "/called from")
    config = options(path, "--rst_path=../r", "--data_url=d")
    expected = {"output_path": "/called from/out", "splits": "/called from/a/splits.json", "resume_ckpt": "auto",
                "load_path": "/l", "anno_json": "", "checkpoint_path": "ckpt", "train_url": "out",
                "rst_path": "/called from/../r", "data_path": "/called from/d", "result_path": "./preprocess_Result/"}
    assert {name: getattr(config, name) for name in expected} == expected


def test_config_knows_what_only_a_yaml_file_gave(tmp_path):
    config = options(write(tmp_path, "output_path: /cache/train\nlr: 0.1"), "--lr=0.2", "--epochs=3")
    assert config.from_yaml == {"output_path"}
    assert config.replace(seed=3).from_yaml == {"output_path"} and not config.replace(output_path="x").from_yaml


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
    assert "'hard_dise' is not one of dice_coeff, iou, acc, hard_iou, hard_dice, sens, spec, object_" in message
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
    (["--lrr=1"], ["--lrr", "did you mean --lr?"]), (["--learning_rat=1"], ["did you mean --learning_rate"]),
    (["--instances"], ["did you mean --object_metrics, --objects or --class_values?"]),
    (["--suffix=a"], ["--mask_suffix, --image_suffix or "]),
    (["--batchsize=4"], ["did you mean --batch_size"]),
    (["nonsense"], ["nonsense"]),
    (["--lr=fast"], ["lr", "a number", "'fast'"]),
    (["--batch_size=2.5"], ["batch_size", "a whole number"]),
    (["--batch_size=0"], ["batch_size", "at least 1", "found 0"]),
    (["--lr=0"], ["lr", "more than 0"]),
    (["--lr=nan"], ["lr", "nan"]),
    (["--split=1.5"], ["split", "at most 1"]),
    (["--run_eval=maybe"], ["run_eval", "True or False"]),
    (["--image_size=256"], ["image_size", "two whole numbers such as [256, 256], or native", "'256'"]),
    (["--image_size=[256,x]"], ["image_size", "two whole numbers"]),
    (["--image_size=natives"], ["image_size", "two whole numbers", "or native"]),
    (["--image_size=[0,256]"], ["image_size", "at least 1"]),
    (["--train_crop=[256]"], ["train_crop", "expected 2 values, found 1"]),
    (["--train_crop=2.5"], ["train_crop", "a whole number, or two"]),
    (["--train_crop=-1"], ["train_crop", "at least 0"]),
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
    ("lr: &a [" + ", ".join(["x"] * 50) + "]\nbatch_size: [*a, *a]", "line 2: *a stands for a list"),
])
def test_wrong_files(tmp_path, text, part):
    message = refused(write(tmp_path, text))
    assert part in message and len(message) < 500


def test_file_that_is_not_text(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01" * 100)
    assert "x.yaml" in refused(f"--config_path={path}")
    assert str(tmp_path) in refused(f"--config_path={tmp_path}")
