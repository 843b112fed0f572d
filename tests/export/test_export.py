"""Exported files compute what the network computes; the same evaluation from a checkpoint and from its ONNX file."""
import json
import os
from functools import lru_cache

import numpy as np
import onnx
import pytest

from src.export.export import export, input_size, largest_difference
from src.export.onnx_model import OnnxNetwork
from src.export.onnx_sessions import choose_providers, onnxruntime
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training import checkpoint
from tests.support.networks import network_of
from tests.support.scripts import assert_one_line_error, run, run_here

NETWORKS = {
    "simple": ["--model_name=unet_simple", "--width=48", "--height=32"],
    "nested": ["--model_name=unet_nested", "--width=32", "--height=32", "--num_channels=3", "--num_classes=5"],
    "nested-bilinear": ["--model_name=unet_nested", "--use_deconv=False", "--use_bn=False", "--width=32",
                        "--height=48"],
    "medical": ["--model_name=unet_medical", "--width=188", "--height=204"],
    "bilinear": ["--model_name=unet_bilinear", "--num_channels=3", "--width=32", "--height=48"],
    "keras": ["--model_name=unet_keras", "--width=48", "--height=32"],
}
RESULT_SIZES = {"simple": (32, 48), "nested": (32, 32), "nested-bilinear": (48, 32), "medical": (20, 4),
                "bilinear": (48, 32), "keras": (32, 48)}
CONTEXTS = {"simple": "96", "nested": "96", "nested-bilinear": "128", "medical": "0", "bilinear": "128", "keras": "112"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory, narrow_networks):
    """Gives a network's checkpoint by name: as training writes it, with weights that keep the logits small."""
    folder = tmp_path_factory.mktemp("checkpoints")

    @lru_cache
    def saved(name):
        network = network_of([*NETWORKS[name], "--weight_init=he_uniform"])
        return checkpoint.save(network, folder / f"{name}.ckpt", {"step": 1, "scale": 0.5})
    return saved


def options(path, name, *argv):
    return parse_options([*NETWORKS[name], f"--checkpoint_file_path={path}", *argv], "")


@pytest.mark.parametrize("name, activate, batch", [
    ("simple", "Softmax", 1), ("simple", "Argmax", 2), ("nested", "Softmax", 1), ("nested", "Argmax", 2),
    ("nested-bilinear", "Softmax", 1), ("nested-bilinear", "Argmax", 2), ("medical", "Softmax", 1),
    ("medical", "Argmax", 2), ("bilinear", "Sigmoid", 2), ("keras", "Sigmoid", 2)])
@pytest.mark.slow
def test_onnx(saved, tmp_path, name, activate, batch):
    path = tmp_path / "net.onnx"
    export(options(saved(name), name, "--file_format=onnx", f"--file_name={path}", f"--eval_activate={activate}",
                   f"--batch_size={batch}"))       # raises where the file differs from the network
    network = OnnxNetwork(path)
    classes = 5 if name == "nested" else 2
    last = {"Softmax": [classes], "Argmax": [], "Sigmoid": [1]}[activate]
    assert network.output_shape == (batch, *RESULT_SIZES[name], *last)
    assert (network.activate, network.num_classes) == (activate, classes)
    about = {"model_name": NETWORKS[name][0].split("=")[1], "num_classes": str(classes), "scale": "0.5",
             "context": CONTEXTS[name], "grid": "16", "normalize": "range", "eval_activate": activate,
             "input_axes": "batch, channel, height, width"}
    assert about.items() <= network.metadata.items()
    assert set(json.loads(network.metadata["versions"])) == {"unet_mindspore", "mindspore"}
    assert len(json.loads(network.metadata["color"])) == classes
    # A number of images that is no multiple of the file's batch.
    images = np.random.default_rng(1).uniform(-1, 1, (batch + 1, *network.input_shape[1:])).astype(np.float32)
    result = network(images)
    assert result.dtype == (np.int32 if activate == "Argmax" else np.float32)
    if activate == "Sigmoid":
        assert [node.op_type for node in onnx.load(path).graph.node].count("Sigmoid") == 1
        assert result.std() > 1e-3 and 0 < result.min() < result.max() < 1
    np.testing.assert_array_equal(result[-1], network(images[-1:])[0])


@pytest.mark.slow
@pytest.mark.parametrize("name, activate", [("simple", "Softmax"), ("nested-bilinear", "Softmax"),
                                            ("bilinear", "Sigmoid"), ("keras", "Sigmoid")])
def test_onnx_of_any_size(saved, tmp_path, name, activate):
    path = tmp_path / "net.onnx"
    argv = [option for option in NETWORKS[name] if not option.startswith(("--width", "--height"))]
    export(parse_options([*argv, f"--checkpoint_file_path={saved(name)}", "--file_format=ONNX", "--dynamic=True",
                          f"--file_name={path}", "--image_size=[48,32]", "--batch_size=1",
                          f"--eval_activate={activate}"], ""))
    network = OnnxNetwork(path)
    channels, last = 3 if name == "bilinear" else 1, 2 if activate == "Softmax" else 1
    assert network.input_shape == (None, channels, None, None) and network.output_shape == (None, None, None, last)
    result = network(np.zeros((3, channels, 64, 16), np.float32))
    assert result.shape == (3, 64, 16, last)
    if activate == "Softmax":
        np.testing.assert_allclose(result.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name, activate", [("medical", "Argmax"), ("nested-bilinear", "Softmax"),
                                            ("bilinear", "Sigmoid"), ("keras", "Sigmoid")])
def test_mindir(saved, tmp_path, name, activate):
    path = tmp_path / "a folder" / "net"
    export(options(saved(name), name, f"--file_name={path}", f"--eval_activate={activate}", "--batch_size=2"))
    path = path.with_suffix(".mindir")
    assert sorted(os.listdir(path.parent)) == ["net.mindir", "net.mindir.json"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_difference():
    probabilities = np.array([[[[0.2, 0.8], [0.5, 0.5]]]], np.float32)
    assert largest_difference(probabilities + np.float32(0.25), probabilities) == 0.25
    assert largest_difference(np.array([[[1, 0]]]), probabilities) == 0
    assert largest_difference(np.array([[[0, 1]]]), probabilities) == pytest.approx(0.6)


@pytest.mark.parametrize("name, argv, parts", [
    ("simple", ["--file_format=air"], ["AIR needs device_target Ascend", "MINDIR or ONNX"]),
    ("simple", ["--file_format=ONNX", "--width=50"], ["cannot take an image of 32x50", "32x48"]),
    ("medical", ["--file_format=ONNX", "--dynamic=True"], ["dynamic is for ONNX", "unet_medical"]),
    ("simple", ["--dynamic=True"], ["dynamic is for ONNX", "MINDIR"]),
    ("simple", ["--file_format=ONNX", "--dynamic=True", "--width=64", "--height=96"],
     ["dynamic is True", "height and width are given; leave out height and width, or give --dynamic=False"]),
    ("simple", ["--num_classes=3"], ["another network", "final.weight"]),
    ("simple", ["--checkpoint_file_path=/none.ckpt"], ["no such checkpoint"]),
    ("keras", ["--eval_activate=Argmax"], ["eval_activate Argmax does not fit UNetKeras; set it to Sigmoid"]),
    ("bilinear", ["--file_format=ONNX"], ["eval_activate Softmax does not fit UNetBilinear; set it to Sigmoid"]),
    ("simple", ["--eval_activate=Sigmoid"], ["eval_activate Sigmoid does not fit UNet; set it to Softmax or Argmax"]),
])
def test_refusals(saved, tmp_path, name, argv, parts):
    with pytest.raises(UNetError) as refused:
        export(options(saved(name), name, f"--file_name={tmp_path / 'net'}", *argv))
    assert all(part in str(refused.value) for part in parts) and "\n" not in str(refused.value), refused.value
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("argv, size", [
    (["--image_size=[96,40]"], (96, 32)), (["--dataset=folders", "--image_size=[96,40]"], (32, 96)),
    (["--image_size=[96,40]", "--width=64"], (96, 64)), (["--model_name=unet_medical", "--image_size=[576,240]"],
                                                         (572, 236)),
    (["--height=50", "--width=30"], (50, 30))])
def test_size_that_is_not_given(argv, size, caplog):
    """The largest within image_size, which is [width, height] for folders; one line says so. A given one is kept."""
    with caplog.at_level("INFO", logger="unet"):
        assert input_size(parse_options(["--model_name=unet_simple", *argv], "")) == size
    assert len(caplog.messages) == ("--height=50" not in argv)
    with pytest.raises(UNetError, match="cannot take an image of 8x96 .* the nearest sizes it can take are 16x96"):
        input_size(parse_options(["--model_name=unet_simple", "--image_size=[8,96]"], ""))


@pytest.mark.slow
def test_evaluation_of_a_checkpoint_and_of_its_onnx_file(saved, sample, tmp_path):
    """Two command lines, one score; and the second does without MindSpore."""
    argv = [f"--data_path={sample}", "--image_size=[96,96]", f"--output_path={tmp_path / 'a'}", "--isbi_metrics=True"]
    path = tmp_path / "net.onnx"
    result = run_here("eval.py", *argv, f"--ckpt_path={saved('simple')}", "--context_mode=pynative", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    result = run_here("export.py", f"--ckpt_path={saved('simple')}", "--file_format=ONNX", "--image_size=[96,96]",
                 "--batch_size=2", f"--file_name={path}", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "largest difference to the network: " in result.stdout and f"exported: {path}, " in result.stdout
    assert "input (2, 1, 96, 96) float32, output (2, 96, 96, 2) float32" in result.stdout

    (tmp_path / "small.yaml").write_text(f"image_size: [96, 96]\nisbi_metrics: True\noutput_path: {tmp_path / 'b'}\n")
    (tmp_path / "mindspore.py").write_text("raise ImportError('MindSpore was imported')")
    result = run("infer_unet_onnx.py", tmp_path / "small.yaml", path, sample, "CPU", cwd=tmp_path,
                 PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    one, other = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in "ab")
    assert one["soft"]["dice_coeff"] == pytest.approx(other["soft"]["dice_coeff"], abs=1e-5)
    assert one["hard"]["Acc"]["mean"] == pytest.approx(other["hard"]["Acc"]["mean"], abs=1e-3)
    for name in ("V_rand", "V_info"):
        assert f"{name}: {other['isbi_board'][name]['value']:.6f}, threshold " in result.stdout
        # A pixel that is hardly on the other side of a threshold may divide a cell.
        assert one["isbi_board"][name]["value"] == pytest.approx(other["isbi_board"][name]["value"], abs=0.02)
    assert result.stdout.splitlines()[-3].startswith("============== Cross valid dice coeff is: ")

    result = run_here("infer_unet_onnx.py", f"--file_name={path}", f"--data_path={sample}", "--image_size=[48,48]",
                 cwd=tmp_path)
    assert_one_line_error(result, path, "takes images of 1x96x96", "these are 1x48x48")


def test_onnx_files_that_cannot_be_used(saved):
    assert_one_line_error(run_here("infer_unet_onnx.py", "--file_name=none"), "no such ONNX file: none.onnx")
    assert_one_line_error(run_here("infer_unet_onnx.py", f"--file_name={saved('simple')}"), "no such ONNX file")


def test_damaged_onnx_file(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x08\x07" * 500)
    with pytest.raises(UNetError, match=r"net\.onnx: ONNX Runtime cannot load it"):
        OnnxNetwork(path)


def test_providers(monkeypatch):
    assert choose_providers("CPU") == ["CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert choose_providers("auto") == ["CPUExecutionProvider"]
    with pytest.raises(UNetError, match=r"GPU: .*no CUDAExecutionProvider here, but CPUExecutionProvider.*=CPU"):
        choose_providers("GPU")
