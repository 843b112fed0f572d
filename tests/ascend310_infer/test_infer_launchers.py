"""The launchers of C++ inference, from a network to its score."""
import json
import os
import re

import onnx
import pytest

from src.model_utils.config import parse_options
from src.networks.registry import NetworkSpec, build_network
from src.training import checkpoint
from tests.support.data import write_pairs
from tests.support.lite import MODELS
from tests.support.narrow import narrow_networks
from tests.support.owners import give_away
from tests.support.scripts import SCRIPTS, assert_one_line_error, bash, run_here

pytestmark = pytest.mark.slow

CONFIGS = {
    "unet": ["--model_name=unet_simple", "--image_size=[96,96]"],
    "yaml": ["--dataset=Cell_nuclei", "--model_name=unet_nested", "--num_channels=3", "--use_bn=False",
             "--use_ds=False", "--image_size=[48,32]"],
}


@pytest.mark.parametrize("case", CONFIGS)
def test_end_to_end(program, converter, sample, tmp_path, case):
    """Stacks by the name of the network and the environment, folders by a YAML file: the score of eval.py."""
    data = sample if case == "unet" else write_pairs(tmp_path / "data", [f"n.{number}" for number in range(12)])
    argv = [*CONFIGS[case], f"--data_path={data}", f"--output_path={tmp_path / 'eval'}"]
    config = parse_options([*argv, "--weight_init=he_uniform"], "")
    width, height = config.image_size
    with narrow_networks():
        checkpoint.save(build_network(NetworkSpec.from_config(config)), tmp_path / "x.ckpt", {"step": 1})
        argv.append(f"--ckpt_path={tmp_path / 'x.ckpt'}")
        by_eval = run_here("eval.py", *argv, "--context_mode=pynative", cwd=tmp_path)
        result = run_here("export.py", *argv, "--file_format=ONNX", "--batch_size=2", f"--width={width}",
                          f"--height={height}", f"--file_name={tmp_path / 'x.onnx'}", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "a run"
    folder.mkdir()
    result = bash(SCRIPTS / "onnx_to_mindir.sh", "../x.onnx", "made here/x", cwd=folder)
    assert result.returncode == 0, result.stderr
    # Of an earlier run, which has listed it.
    (folder / "result_Files").mkdir()
    (folder / "result_Files" / "old_0.bin").write_bytes(b"old")
    (folder / "result_Files" / ".run_infer_cpp.json").write_text('["old_0.bin"]')

    environment = {"DATA_PATH": str(data), "OUTPUT_PATH": "scores", "IMAGE_SIZE": "[96,96]"}
    network = "unet"
    if case == "yaml":
        config.replace(output_path="scores").save(folder / "my net.yaml")
        network, environment = "my net.yaml", {}
    arguments = [network, "made here/x.mindir", "y", "CPU", "0"]
    result = bash(SCRIPTS / "run_infer_cpp.sh", *arguments, cwd=folder, **environment)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert dice(result.stdout) == pytest.approx(dice(by_eval.stdout), abs=1e-4)
    assert dice((folder / "acc.log").read_text()) == dice(result.stdout)
    assert "NN inference cost average time" in (folder / "infer.log").read_text()
    assert json.loads((folder / "result_Files" / ".run_infer_cpp.json").read_text()) == sorted(
        path.name for path in (folder / "result_Files").glob("*_0.bin"))

    if case == "yaml":      # PNG inputs, which only a build with OpenCV reads
        again = bash(SCRIPTS / "run_infer_cpp.sh", *arguments, cwd=folder, RESULT_FORMAT="auto")
        if "without OpenCV" in again.stderr:
            assert again.returncode == 2 and "step infer failed with status 2" in again.stderr
        else:
            assert dice(again.stdout) == pytest.approx(dice(result.stdout), abs=1e-6)
        return
    # Again without preprocessing; and a step that fails ends it all with its status.
    arguments[2] = "n"
    again = bash(SCRIPTS / "run_infer_cpp.sh", *arguments, cwd=folder, **environment)
    assert dice(again.stdout) == dice(result.stdout)
    next((folder / "preprocess_Result").glob("*.*")).with_suffix(".bin").write_bytes(b"")
    result = bash(SCRIPTS / "run_infer_cpp.sh", *arguments, cwd=folder, **environment)
    assert result.returncode == 2 and "Cross valid" not in result.stdout
    assert "0 bytes found" in result.stderr and "step infer failed with status 2" in result.stderr


def dice(text):
    return float(re.search(r"^============== Cross valid dice coeff is: (.*)$", text, re.MULTILINE)[1])


@pytest.mark.parametrize("script, arguments, part", [
    ("run_infer_cpp.sh", [], "Usage: "), ("run_infer_cpp.sh", ["unet"] * 6, "Usage: "),
    ("run_infer_cpp.sh", ["unet3", "MODEL", "y", "CPU"], "found 'unet3'"),
    ("run_infer_cpp.sh", ["none.yaml", "MODEL", "y", "CPU"], "NETWORK: no such file: none.yaml"),
    ("run_infer_cpp.sh", ["unet", "none", "y", "CPU"], "no such MindIR file: none"),
    ("run_infer_cpp.sh", ["unet", "MODEL", "yes", "CPU"], "found 'yes'"),
    ("run_infer_cpp.sh", ["unet++", "MODEL", "y", "TPU"], "found 'TPU'"),
    ("run_infer_cpp.sh", ["unet", "MODEL", "y", "CPU", "one"], "found 'one'"),
    ("run_infer_310.sh", ["unet", "MODEL"], "Usage: "),
    ("run_infer_310.sh", ["unet", "none", "y", "0"], "no such MindIR file: none"),
    ("onnx_to_mindir.sh", ["one"], "Usage: "),
    ("onnx_to_mindir.sh", ["none.onnx", "x"], "no such ONNX file: none.onnx"),
    ("onnx_to_mindir.sh", ["MODEL", "x"], "no Python wheel of MindSpore Lite at /none"),
    ("get_mindspore_lite.sh", ["a", "b"], "Usage: "),
    ("get_mindspore_lite.sh", ["."], "is not MindSpore Lite's wheel"),
    ("../ascend310_infer/build.sh", ["x"], "Usage: "),
    ("../ascend310_infer/build.sh", [], "no MindSpore Lite at /none"),
])
def test_wrong_use_of_the_launchers(tmp_path, script, arguments, part):
    model = str(MODELS / "simple.mindir")
    result = bash(SCRIPTS / script, *(model if value == "MODEL" else value for value in arguments), cwd=tmp_path,
                  MS_LITE_HOME="/none")
    assert result.returncode == 2 and part in result.stderr, result.stderr
    assert os.listdir(tmp_path) == []


def test_a_folder_with_a_line_break(tmp_path):
    result = bash(SCRIPTS / "run_infer_cpp.sh", "unet", MODELS / "simple.mindir", "y", "CPU", cwd=tmp_path,
                  RESULT_PATH="a\nb")
    assert result.returncode == 2 and result.stderr == "error: RESULT_PATH has a line break: $'a\\nb'\n"
    assert os.listdir(tmp_path) == []


def test_data_that_are_not_there(tmp_path):
    result = bash(SCRIPTS / "run_infer_cpp.sh", "unet++", MODELS / "nested.mindir", "y", "CPU", cwd=tmp_path,
                  DATA_PATH="/none")
    assert result.returncode == 2 and "step preprocess failed with status 2" in result.stderr
    assert "/none" in result.stderr and sorted(os.listdir(tmp_path)) == ["preprocess.log"]


def test_wheel_that_is_there_already(lite, tmp_path):
    if not (lite / "mindspore_lite").is_dir():
        pytest.skip("MS_LITE_HOME is no wheel")
    # An interpreter that fails: nothing is to be fetched.
    result = bash(SCRIPTS / "get_mindspore_lite.sh", lite, PYTHON="/bin/false")
    assert result.returncode == 0 and "there already" in result.stdout


def test_a_wheel_of_another_user(tmp_path, monkeypatch):
    """Its programs would run; it waits in a shared folder for whoever names it."""
    folder = tmp_path / "lite"
    (folder / "mindspore_lite" / "include" / "api").mkdir(parents=True)
    (folder / "mindspore_lite" / "include" / "api" / "model.h").touch()
    folder.chmod(0o755)
    script = SCRIPTS / "get_mindspore_lite.sh"
    assert "there already" in bash(script, folder).stdout
    folder.chmod(0o775)
    assert_one_line_error(bash(script, folder), "lite belongs to another user, or other users can write it; remove it")
    if os.getuid() == 0:
        folder.chmod(0o755)
        give_away(folder, monkeypatch)
        assert_one_line_error(bash(script, folder), "lite belongs to another user")


def test_file_that_cannot_be_converted(converter, tmp_path):
    (tmp_path / "x.onnx").write_text("no network")
    result = bash(SCRIPTS / "onnx_to_mindir.sh", tmp_path / "x.onnx", tmp_path / "x.mindir")
    assert_one_line_error(result, f"{tmp_path / 'x.onnx'}: ONNX Runtime cannot load it")
    weights = onnx.TensorProto(name="k", dims=[1], data_type=onnx.TensorProto.FLOAT,
                               data_location=onnx.TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="../secret")
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1,)) for name in "xy"]
    node = onnx.helper.make_node("Add", ["x", "k"], ["y"])
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:], [weights])
    (tmp_path / "x.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    result = bash(SCRIPTS / "onnx_to_mindir.sh", tmp_path / "x.onnx", tmp_path / "x.mindir")
    assert_one_line_error(result, "has its weights in other files")
    result = bash(SCRIPTS / "onnx_to_mindir.sh", tmp_path / "x.onnx", tmp_path / "x", PYTHON37="/bin/false",
                  PYENV_ROOT="/none")
    assert_one_line_error(result, "no CPython 3.7", "PYTHON37")
    assert os.listdir(tmp_path) == ["x.onnx"]
