"""The mean of several predictors; test_predict.py loads networks."""
import re

import numpy as np
import pytest

from src.data.trained_geometry import TrainedGeometry
from src.inference.loaded_network import mean_of
from src.inference.loading import _common_inputs, _paths_in, load_checkpoints, load_network, load_onnx_file, names_onnx
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training import checkpoint
from tests.support.networks import network_of


def test_the_mean_does_not_change_the_results_of_its_parts():
    kept = np.ones((1, 2, 2, 1), np.float32)
    mean = mean_of([lambda _: kept, lambda _: 3 * np.ones_like(kept)])
    assert (mean(None) == 2).all() and (mean(None) == 2).all() and (kept == 1).all()


FILE, CHECKPOINT = "file_name", "checkpoint_file_path"


@pytest.mark.parametrize("yaml, line, expected", [
    ("", "f", True), ("", "c", False), ("", "fc", None), ("f", "", True), ("c", "", False), ("fc", "", None),
    ("f", "c", False), ("c", "f", True), ("fc", "f", True), ("", "", False)])
def test_which_of_two_networks(tmp_path, yaml, line, expected):
    """f: an ONNX file, c: a checkpoint. The command line wins over the YAML file; two in one of them are an error."""
    values = {"f": "net.onnx", "c": "best.ckpt"}
    names = {"f": FILE, "c": CHECKPOINT}
    (tmp_path / "a.yaml").write_text("".join(f"{names[key]}: {values[key]}\n" for key in yaml))
    config = parse_options([f"--config_path={tmp_path / 'a.yaml'}",
                            *(f"--{names[key]}={values[key]}" for key in line)], "")
    if expected is None:
        with pytest.raises(UNetError, match="are two networks; give one of them"):
            names_onnx(config)
    else:
        assert names_onnx(config) is expected


@pytest.mark.parametrize("load", [load_checkpoints, load_onnx_file])
def test_scripts_for_one_kind_do_not_pass_over_the_other(load):
    with pytest.raises(UNetError, match="file_name a.onnx and checkpoint_file_path b.ckpt are two networks"):
        load(parse_options([f"--{FILE}=a.onnx", f"--{CHECKPOINT}=b.ckpt"], ""))


def test_commas_in_paths(tmp_path):
    files = [tmp_path / "a,b" / "x.ckpt", tmp_path / "y.ckpt", tmp_path / "z,.ckpt"]
    files[0].parent.mkdir()
    for file in files:
        file.touch()
    names = list(map(str, files))
    assert _paths_in(",".join(names)) == _paths_in(", ".join([*names, ""])) == names
    assert _paths_in("") == [] and _paths_in("/none/a.ckpt,/none/b.ckpt") == ["/none/a.ckpt", "/none/b.ckpt"]


@pytest.mark.parametrize("load, argv, words", [
    (load_checkpoints, ["--file_name=net.mindir"], "net.mindir: expected the name of an ONNX file, NAME.onnx"),
    (load_checkpoints, ["--file_name=net.onnx"], "eval.py takes checkpoints, .*; infer_unet_onnx.py evaluates ONNX"),
    (load_onnx_file, ["--checkpoint_file_path=a.ckpt"], "a.ckpt: infer_unet_onnx.py evaluates an ONNX file"),
])
def test_files_for_another_script(load, argv, words):
    with pytest.raises(UNetError, match=words):
        load(parse_options(argv, ""))


def test_the_width_of_the_network_is_followed(tmp_path, narrow_networks):
    """A network of all of the paper's channels says so in its checkpoint, and contradicting it is an error."""
    wide = ["--feature_scale=1", "--num_channels=3", "--weight_init=he_uniform"]
    path = checkpoint.save(network_of(wide), tmp_path / "wide.ckpt", {"step": 1, "scale": 1.0, "feature_scale": 1})
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 32, 32)).astype(np.float32)
    argv = ["--num_channels=3", f"--checkpoint_file_path={path}", "--backend=mindspore", "--context_mode=pynative"]
    followed, given = (load_network(parse_options([*argv, *more], "")) for more in ([], wide))
    assert followed.config.feature_scale == 1
    np.testing.assert_array_equal(followed.predict(image), given.predict(image))
    with pytest.raises(UNetError, match=r"feature_scale is 4, but .*wide\.ckpt was trained with feature_scale 1"):
        load_network(parse_options([*argv, "--feature_scale=4"], ""))
    with pytest.raises(UNetError, match=r"feature_scale: 3 is not one of 1, 2, 4, 8, 16"):
        parse_options(["--feature_scale=3"], "")


STORED = {"normalize": "zscore", "input_range": [0, 1], "channels": [2],
          "geometry": TrainedGeometry("image_mask", None).as_dict()}


@pytest.mark.parametrize("option", STORED)
@pytest.mark.parametrize("is_first", [True, False])
def test_inputs_that_one_checkpoint_does_not_name(option, is_first):
    """Whichever stands first: an older checkpoint, or one of the model zoo, may not be averaged with others."""
    assert _common_inputs([STORED, STORED], "a,b") == STORED
    others = [{}, {name: value for name, value in STORED.items() if name != option}]
    for other, named in zip(others, ("normalize", option)):
        pair = [STORED, other] if is_first else [other, STORED]
        values = re.escape(str([options.get(named) for options in pair]))
        with pytest.raises(UNetError, match=f"^a,b: the models were trained with different {named}: {values} "
                                            r"\(None: the checkpoint does not say\); their results cannot be"):
            _common_inputs(pair, "a,b")


def test_names_and_areas_of_several_checkpoints():
    """The names of the classes are those of the first that has any, the areas those of all images."""
    small, large = ({"geometry": TrainedGeometry("image_mask", None, areas).as_dict()} for areas in ((9, 16), (25, 36)))
    named = [{"class_names": ["a", "b"]}, {"class_names": ["c", "d"]}]
    assert _common_inputs([small, {**large, **named[0]}, {**small, **named[1]}], "") == {
        **named[0], "geometry": TrainedGeometry("image_mask", None, (9, 36)).as_dict()}
