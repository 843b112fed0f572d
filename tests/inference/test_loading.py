"""The mean of several predictors; test_predict.py loads networks."""
import numpy as np
import pytest

from src.inference.loaded_network import mean_of
from src.inference.loading import load_checkpoints, load_onnx_file, names_onnx
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
