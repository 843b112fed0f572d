"""ONNX files that export.py did not write: what is guessed is said, and what cannot be right is refused."""
from importlib.util import find_spec

import numpy as np
import pytest

from src.data import notices
from src.export.network_file import options_of
from src.export.onnx_model import OnnxNetwork
from src.inference import loading
from src.inference.file_predictor import FilePredictor
from src.inference.loading import load_checkpoints, load_network, load_onnx_file
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.networks.receptive_field import ReceptiveField, same_field
from src.tiling.predictor import in_windows
from tests.support.onnx_files import cropping_file, halving_file, onnx_file, unet_file


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Loads a file of this content."""
    monkeypatch.setattr(notices, "_said", set())

    def loaded(data, *argv, load=load_network):
        (tmp_path / "x.onnx").write_bytes(data)
        return load(parse_options([f"--file_name={tmp_path / 'x.onnx'}", "--num_channels=2", "--backend=onnx",
                                   f"--output_path={tmp_path / 'out'}", *argv], ""))
    return loaded


SILENT = "x.onnx: its metadata do not say what its network needs; the options say it"
CUT = ", and windows are cut as for a U-Net with bilinear upsampling, context {} and stride {};"


@pytest.mark.parametrize("metadata, context, stride", [
    ({}, 128, 16), ({"context": "32"}, 32, 16), ({"grid": "8"}, 128, 8)])
def test_a_guess_is_said_once(loaded, caplog, metadata, context, stride):
    for _ in range(2):
        found = loaded(onnx_file(("n", 2, "h", "w"), 2, metadata))
        assert found.windows.field == ReceptiveField(0, context, stride)
    assert caplog.text.count("WARNING: ") == 1 and SILENT + CUT.format(context, stride) in caplog.text


def test_what_is_known_is_not_warned_of(loaded, caplog):
    assert loaded(unet_file(metadata={"context": "16", "grid": "2"})).windows.field == ReceptiveField(0, 16, 2)
    assert caplog.text == ""


def test_other_runtimes_are_told_too(loaded, caplog):
    loaded(onnx_file((1, 2, 16, 16)), load=options_of)
    assert SILENT + "; so in all" in caplog.text


@pytest.mark.parametrize("metadata, line", [
    ({}, "by the options: the network's file does not say how it was trained"),
    ({"normalize": "range", "input_range": "[-1, 1]", "channels": "[]"}, "as the network was trained")])
def test_whether_the_training_is_known(loaded, caplog, metadata, line):
    caplog.set_level("INFO", "unet")
    loaded(onnx_file(("n", 2, "h", "w"), 2, metadata), load=FilePredictor)
    assert f", {line}" in [text for text in caplog.messages if text.startswith("normalize: ")][0]


def test_valid_convolutions(loaded, caplog):
    """Of the model zoo's unet_medical, whose files have no metadata; and of a network that says so."""
    assert loaded(cropping_file(220, 92)).windows.field.margin_lost == 92
    assert SILENT + "; so in all" in caplog.text
    assert loaded(cropping_file(32, 4, {"context": "0", "grid": "2"})).windows.field == ReceptiveField(4, 0, 2)


@pytest.mark.parametrize("data", [
    halving_file(), halving_file(metadata={"context": "128", "grid": "16"}), halving_file((1, 2, 256, 16)),
    halving_file((1, 2, 256, 16), {"context": "0"}), cropping_file(32, 4), cropping_file(220, 92, {"context": "96"})])
def test_results_of_another_size(loaded, data):
    with pytest.raises(UNetError, match=r"x\.onnx: takes images of .* and gives results of .* \(height x width\), and "
                                        r"does not say that its convolutions are valid; export it with results"):
        loaded(data)


def test_results_of_another_size_while_it_runs(loaded):
    """Where the sizes are free, only the result shows it, also of a graph that cannot be trimmed."""
    found = loaded(halving_file(("n", 2, "h", "w")), "--tile_size=384")
    assert found.predict_window
    for predict in (found.predict, found.predict_window):
        with pytest.raises(UNetError, match=r"x\.onnx: gave 1x32x48x2 float32, expected 1x64x96x2 numbers"):
            predict(np.zeros((1, 2, 64, 96), np.float32))


@pytest.mark.parametrize("context", [0, 2, 8, 10, 16])
def test_windows_of_any_context(loaded, context):
    """A network is trimmed only if the margin of the windows is as large as what that takes away."""
    found = loaded(unet_file(metadata={"context": str(context), "grid": "2", "window": "64"}))
    image = np.random.default_rng(0).uniform(-1, 1, (1, 2, 50, 90)).astype(np.float32)
    whole, used = (np.concatenate(list(in_windows(predict, found.windows, -1)(image)), axis=1)
                   for predict in (found.predict, found.averaged(of_windows=True)))
    np.testing.assert_allclose(used, whole, atol=1e-5)


def test_windows_of_which_the_largest_is_rounded_below_the_context(loaded):
    """Three times the context is 27, and the largest multiple of the stride is less: the margin is that of blending."""
    windows = loaded(unet_file(metadata={"context": "9", "grid": "2", "window": "27"})).windows
    assert windows.of((99, 99)).margin == 6 and windows.most_trimmed == 0


def test_whole_numbers_may_have_a_point(tmp_path):
    metadata = {"num_classes": "3.0", "context": "96.0", "grid": "1e1"}
    (tmp_path / "x.onnx").write_bytes(onnx_file((1, 2, 16, 16), 2, metadata))
    network = OnnxNetwork(tmp_path / "x.onnx")
    assert repr(network.numbers) == "{'num_classes': 3, 'context': 96, 'grid': 10}"
    assert repr(network.options["num_classes"]) == "3"


def test_the_guess_is_the_network_that_sees_most():
    assert same_field("bilinear").context == max(same_field(name).context for name in ("deconv", "bilinear", "nearest"))


@pytest.mark.parametrize("load", [load_onnx_file, load_checkpoints])
def test_onnx_runtime_has_no_bfloat16(load):
    with pytest.raises(UNetError, match="backend is onnx and cpu_precision is bfloat16, and ONNX Runtime multiplies in "
                                        "float32; use --cpu_precision=float32, or --backend=openvino"):
        load(parse_options(["--backend=onnx", "--cpu_precision=bfloat16"], ""))


@pytest.mark.parametrize("backend", ["onnx", *(["openvino"] if find_spec("openvino") else [])])
def test_what_auto_makes_of_bfloat16(loaded, monkeypatch, caplog, backend):
    caplog.set_level("INFO", "unet")
    monkeypatch.setattr(loading, "find_spec", lambda name: True)
    monkeypatch.setattr(loading, "fastest", lambda measurement, path: backend)
    loaded(onnx_file((1, 2, 16, 16)), "--backend=auto", "--cpu_precision=bfloat16", "--device_target=CPU")
    assert ("x.onnx in float32; of ONNX files, only OpenVINO" in caplog.text) == (backend == "onnx")
