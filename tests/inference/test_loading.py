"""The mean of several predictors; test_predict.py loads networks."""
import numpy as np
import pytest

from src.inference.loaded_network import mean_of
from src.inference.loading import _paths_in, load_checkpoints, load_onnx_file, names_onnx
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError


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
