"""ONNX files of eight bits: smaller, close to float32, and not written if they lose too much."""
import os

import numpy as np
import onnx
import pytest

from src.export import quantize
from src.export.export import export
from src.export.onnx_model import OnnxNetwork
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training import checkpoint
from tests.support.networks import network_of

KERAS = ["--model_name=unet_keras", "--eval_activate=Sigmoid", "--image_size=[48,48]", "--weight_init=he_uniform"]


@pytest.fixture
def options(narrow_networks, sample, tmp_path):
    path = checkpoint.save(network_of(KERAS), tmp_path / "net.ckpt", {"step": 1, "input_range": [0, 1]})

    def options(*argv):
        return parse_options([*KERAS, f"--checkpoint_file_path={path}", "--file_format=ONNX", "--quantize=int8",
                              f"--calibration_path={sample}", f"--file_name={tmp_path / 'net'}", *argv], "")
    return options


@pytest.mark.slow
def test_eight_bits(options, tmp_path, caplog):
    export(options("--quantize=float32"))
    images = np.random.default_rng(0).uniform(0, 1, (2, 1, 48, 64)).astype(np.float32)
    large, expected = (tmp_path / "net.onnx").stat().st_size, OnnxNetwork(tmp_path / "net.onnx")(images)
    with caplog.at_level("INFO", logger="unet"):
        export(options("--quantize_tolerance=0.05"))
    assert (tmp_path / "net.onnx").stat().st_size < 0.35 * large
    network = OnnxNetwork(tmp_path / "net.onnx")
    assert network.metadata["quantize"] == "int8" and "of soft Dice" in network.metadata["quantize_loss"]
    assert network.options["model_name"] == "unet_keras" and network.options["input_range"] == [0, 1]
    assert np.abs(network(images) - expected).mean() < 0.05
    assert any("images set the ranges" in line and "differ" in line for line in caplog.messages)
    graph = onnx.load(tmp_path / "net.onnx").graph
    scales = {tensor.name: tensor.dims for tensor in graph.initializer if tensor.name.endswith("weight_scale")}
    assert any(dims and dims[0] > 1 for dims in scales.values())       # per channel
    assert "QuantizeLinear" in {node.op_type for node in graph.node}


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--height=64", "--width=48"], ["--eval_activate=Argmax"]])
def test_the_checkpoint_alone_says_that_images_are_native(narrow_networks, sample, tmp_path, caplog, more):
    """Without a YAML file nothing says how large the patches of the training were; a file may take one size only."""
    network = network_of(["--weight_init=he_uniform"])
    path = checkpoint.save(network, tmp_path / "net.ckpt", {"step": 1, "geometry": {
        "dataset": "ISBI", "input": "native", "areas": [9216, 9216]}})
    caplog.set_level("INFO", "unet")
    export(parse_options([f"--checkpoint_file_path={path}", "--file_format=ONNX", "--quantize=int8", *more,
                          f"--calibration_path={sample}", f"--file_name={tmp_path / 'net'}",
                          "--quantize_tolerance=0.5"], ""))
    assert OnnxNetwork(tmp_path / "net.onnx").metadata["quantize"] == "int8"
    assert "of soft Dice" in caplog.text


@pytest.mark.slow
def test_the_checkpoint_alone_names_the_layout_and_the_rim(narrow_networks, nuclei, tmp_path, caplog):
    """Without a YAML file; the network has a class more than the masks."""
    network = network_of(["--num_channels=3", "--target=boundary", "--weight_init=he_uniform"])
    path = checkpoint.save(network, tmp_path / "net.ckpt", {
        "step": 1, "num_channels": 3, "target": "boundary", "geometry": {
            "dataset": "Cell_nuclei", "input": [48, 32], "content": [48, 32], "areas": [9216, 9216]}})
    caplog.set_level("INFO", "unet")
    export(parse_options([f"--checkpoint_file_path={path}", "--file_format=ONNX", "--quantize=int8",
                          f"--calibration_path={nuclei}", f"--file_name={tmp_path / 'net'}",
                          "--quantize_tolerance=0.5"], ""))
    assert "dataset: Cell_nuclei, as the network was trained" in caplog.text
    assert "measured the loss against float32" in caplog.text


@pytest.mark.slow
def test_too_great_a_loss(options, tmp_path, monkeypatch):
    monkeypatch.setattr(quantize, "_loss", lambda *_: quantize.Loss(0.02, 0.1))
    with pytest.raises(UNetError, match="quantization loses 0.020000 of soft Dice, 10.00% of the pixels differ, and "
                                        "quantize_tolerance is 0.005; no file was written"):
        export(options())
    assert os.listdir(tmp_path) == ["net.ckpt"]


@pytest.mark.parametrize("argv, words", [
    (["--calibration_path="], "give a data set with labels with --calibration_path"),
    (["--file_format=MINDIR"], "quantize is for ONNX files; this is MINDIR"),
    (["--calibration_path=/none"], "/none"),
    (["--batch_size=4"], "go through the network one by one, and batch_size is 4; leave batch_size out"),
])
def test_refusals(options, argv, words):
    with pytest.raises(UNetError, match=words):
        export(options(*argv))
