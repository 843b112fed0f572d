"""Exported ONNX files in the runtimes that other people load them with. Those that are not installed are left out."""
import json
import shutil
import subprocess
from functools import lru_cache

import cv2
import numpy as np
import onnx
import pytest

from src.export.export import export
from src.export.onnx_graph import IR_VERSION, OPSET
from src.export.onnx_model import OnnxNetwork
from src.export.onnx_sessions import SessionOptions, onnxruntime
from src.model_utils.config import parse_options
from src.training import checkpoint
from tests.support.networks import network_of

pytestmark = pytest.mark.slow

NETWORKS = {
    "simple": ["--model_name=unet_simple"],
    "nested-bilinear": ["--model_name=unet_nested", "--use_deconv=False", "--num_classes=3"],
    "medical": ["--model_name=unet_medical", "--width=204", "--height=188"],
    "bilinear": ["--model_name=unet_bilinear", "--num_channels=3", "--eval_activate=Sigmoid"],
    "keras": ["--model_name=unet_keras", "--eval_activate=Sigmoid"],
}
TOLERANCE = 1e-4        # that of export.py


@pytest.fixture(scope="module")
def exported(tmp_path_factory, narrow_networks):
    """Gives a network's ONNX file by name, as export.py writes it without options of sizes."""
    folder = tmp_path_factory.mktemp("exported")

    @lru_cache
    def exported(name):
        argv = [*NETWORKS[name], "--weight_init=he_uniform", "--image_size=[48,48]", "--crop=None"]
        path = checkpoint.save(network_of(argv), folder / f"{name}.ckpt", {"step": 1})
        export(parse_options([*argv, f"--checkpoint_file_path={path}", "--file_format=ONNX",
                              f"--file_name={folder / name}"], ""))
        return folder / f"{name}.onnx"
    return exported


@lru_cache
def _expected(path):
    """Images, (N, C, H, W), and what ONNX Runtime makes of them."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    sizes = [side if isinstance(side, int) else free for side, free in zip(shape, (1, 0, 64, 96))]
    images = np.random.default_rng(0).uniform(-1, 1, sizes).astype(np.float32)
    return images, session.run(["mask"], {"image": images})[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph(exported, name, capfd):
    """Opset, names of inputs, outputs and axes; and ONNX Runtime has nothing to say about the file."""
    model = onnx.load(exported(name))
    onnx.checker.check_model(model, full_check=True)
    assert ([entry.version for entry in model.opset_import], model.ir_version) == ([OPSET], IR_VERSION)
    ends = [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (model.graph.input[0], model.graph.output[0])]
    assert (model.graph.input[0].name, model.graph.output[0].name) == ("image", "mask")
    classes = {"nested-bilinear": 3, "bilinear": 1, "keras": 1}.get(name, 2)
    if name == "medical":
        assert ends == [[1, 1, 188, 204], [1, 4, 20, classes]]
    else:
        channels = 3 if name == "bilinear" else 1
        assert ends == [["batch", channels, "height", "width"], ["batch", "height", "width", classes]]
    capfd.readouterr()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2      # warnings
    onnxruntime.InferenceSession(str(exported(name)), options, providers=["CPUExecutionProvider"])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", NETWORKS)
def test_opencv(exported, name):
    images, expected = _expected(exported(name))
    network = cv2.dnn.readNetFromONNX(str(exported(name)))
    network.setInput(images, "image")
    np.testing.assert_allclose(network.forward("mask"), expected, atol=TOLERANCE)


@pytest.mark.parametrize("name", NETWORKS)
def test_openvino(exported, name):
    openvino = pytest.importorskip("openvino")
    images, expected = _expected(exported(name))
    # Intel's plugin would multiply in bfloat16 on processors that can.
    compiled = openvino.Core().compile_model(str(exported(name)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(compiled({"image": images})["mask"], expected, atol=TOLERANCE)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("name", NETWORKS)
def test_trimmed_for_windows(exported, name, backend):
    """The centre of the result is the file's own; a file of valid convolutions has nothing to trim."""
    if backend == "openvino":
        pytest.importorskip("openvino")
    whole, trimmed = (OnnxNetwork(exported(name), SessionOptions(backend, most_trimmed=most)) for most in (0, 128))
    if name == "medical":
        assert trimmed.output_shape == whole.output_shape
        return
    margin = whole.numbers["context"]
    sides = 2, whole.input_shape[1], 2 * margin + 32, 2 * margin + 64
    images = np.random.default_rng(1).uniform(-1, 1, sides).astype(np.float32)
    expected, found = whole(images), trimmed(images)
    lost = (sides[2] - found.shape[1]) // 2
    assert 94 <= lost == trimmed.session.lost <= margin
    np.testing.assert_allclose(found, expected[:, lost:-lost, lost:-lost], atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_node(exported, name, tmp_path):
    """onnxruntime-node, of npm: where node finds it (NODE_PATH)."""
    node = shutil.which("node")
    if not node or subprocess.run([node, "-e", "require('onnxruntime-node')"], check=False,
                                  capture_output=True).returncode:
        pytest.skip("no onnxruntime-node")
    images, expected = _expected(exported(name))
    images.tofile(tmp_path / "image.bin")
    script = """
const ort = require('onnxruntime-node'), fs = require('fs'), [path, folder, shape] = process.argv.slice(1);
(async () => {
  const data = new Float32Array(new Uint8Array(fs.readFileSync(folder + '/image.bin')).buffer);
  const session = await ort.InferenceSession.create(path);
  const {mask} = await session.run({image: new ort.Tensor('float32', data, JSON.parse(shape))});
  fs.writeFileSync(folder + '/mask.bin', new Uint8Array(mask.data.buffer));
})();
"""
    subprocess.run([node, "-e", script, str(exported(name)), str(tmp_path), json.dumps(images.shape)], check=True)
    np.testing.assert_allclose(np.fromfile(tmp_path / "mask.bin", np.float32).reshape(expected.shape), expected,
                               atol=TOLERANCE)
