"""What is said about an exported file, beside it or in it, and files that say nothing or something else."""
import json

import numpy as np
import pytest

from src.export.network_file import check_size, copy_description, options_of, sidecar, write_sidecar
from src.export.onnx_model import OnnxNetwork
from src.export.onnx_sessions import cannot_load
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from tests.support.onnx_files import onnx_file


@pytest.fixture
def mindir(tmp_path):
    """(a file, its options as ``options_of`` finds them)"""
    path = tmp_path / "net.mindir"
    path.write_bytes(b"graph")
    return path, lambda: options_of(parse_options([f"--file_name={path}"], ""))


def test_what_is_beside_the_file(mindir):
    path, found = mindir
    write_sidecar(path, {"input_range": [0, 1], "class_names": ["sky", "road"], "versions": {}})
    assert found() == {"input_range": [0, 1], "class_names": ["sky", "road"]}


def test_nothing_is_beside_the_file(mindir, caplog):
    assert mindir[1]() == {}
    check_size(parse_options([f"--file_name={mindir[0]}"], ""), (7, 9))
    assert "net.mindir: nothing beside it says what its network needs (net.mindir.json)" in caplog.text


def test_no_such_file(mindir):
    path, found = mindir
    path.unlink()
    with pytest.raises(UNetError, match=r"file_name: no such file: .*net\.mindir; make one with export\.py"):
        found()


@pytest.mark.parametrize("text", ["[]", "3", "{", "[" * 100_000, '{"class_names": [1]}', '{"geometry": {"input": 5}}',
                                  '{"input_size": [3]}', '{"input_size": [1e999, 3]}',
                                  '{"geometry": {"dataset": "folders", "input": [Infinity, 9], "areas": 1}}'])
def test_what_cannot_be_read(mindir, text):
    path, found = mindir
    path.with_name("net.mindir.json").write_text(text)
    with pytest.raises(UNetError, match=r"net\.mindir\.json: cannot be read \(.*; export the network again"):
        found()


def test_the_ending_may_be_left_out(tmp_path):
    """As for export.py. Without file_name on the command line nothing is followed."""
    assert options_of(parse_options([], "")) == {}
    config = parse_options([f"--file_name={tmp_path / 'net'}"], "")
    with pytest.raises(UNetError, match=r"net: expected one file with the ending \.onnx, \.mindir, \.air; found none"):
        options_of(config)
    (tmp_path / "net.onnx").write_bytes(onnx_file(("n", 1, "h", "w"), 1, {"input_range": json.dumps([0, 1])}))
    assert options_of(config)["input_range"] == [0, 1]
    (tmp_path / "net.mindir").touch()
    with pytest.raises(UNetError, match=r"found net\.onnx and net\.mindir"):
        options_of(config)


def test_sizes_that_the_network_cannot_take(tmp_path):
    (tmp_path / "net.onnx").write_bytes(onnx_file(("n", 1, "h", "w"), 1, {"grid": json.dumps(16)}))
    network = OnnxNetwork(tmp_path / "net.onnx")
    assert network(np.zeros((1, 1, 32, 48), np.float32)).shape == (1, 32, 48, 1)
    with pytest.raises(UNetError, match="takes heights and widths that are multiples of 16, these are 50x64"):
        network(np.zeros((1, 1, 50, 64), np.float32))


def test_the_reason_that_openvino_gives():
    """Its first lines are places in its own source."""
    error = RuntimeError("Exception from src/inference/src/cpp/core.cpp:117:\nCheck 'x' failed at core.cpp:3:\n"
                         "Unable to read the model\n")
    assert str(cannot_load("a.onnx", "OpenVINO", error)) == (
        "a.onnx: OpenVINO cannot load it (Unable to read the model)")
    assert "(Exception)" in str(cannot_load("a.onnx", "OpenVINO", Exception("Exception from core.cpp:1:\n")))


def test_inputs_of_another_size(mindir):
    path, _ = mindir
    config = parse_options([f"--file_name={path}"], "")
    write_sidecar(path, {"input_size": [32, 48]})
    check_size(config, (32, 48))
    with pytest.raises(UNetError, match=r"takes inputs of 32x48 \(height x width\), and the options make them 64x48"):
        check_size(config, (64, 48))


def test_the_description_of_a_converted_file(mindir, tmp_path):
    """The metadata of an ONNX file are texts."""
    about = {"input_size": "[16, 32]", "input_range": "[0, 1]", "class_names": '["sky", "road"]',
             "model_name": "unet_simple"}
    (tmp_path / "net.onnx").write_bytes(onnx_file((1, 1, 16, 32), 1, about))
    copy_description(tmp_path / "net.onnx", mindir[0])
    assert json.loads(sidecar(mindir[0]).read_text())["input_size"] == [16, 32]
    found = mindir[1]()
    assert (found["input_range"], found["class_names"]) == ([0, 1], ["sky", "road"])
    check_size(parse_options([f"--file_name={mindir[0]}"], ""), (16, 32))
