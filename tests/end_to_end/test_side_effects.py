"""Packages that would ask the internet, or write into the home folder, do neither."""
import os
import shutil
import subprocess
import sys

import pytest

from tests.support.data import FIXTURES
from tests.support.scripts import PROJECT

# Everything that makes albumentations and ONNX Runtime load: augmentation in two worker processes and in this one, and
# a network in an ONNX file.
WORK = """
import sys
import numpy as np
from onnx import TensorProto, helper, save
from src.data.pipeline import training_batches
from src.data.samples import create_samples
from src.data.schedule import Schedule
from src.export.onnx_model import OnnxNetwork
from src.model_utils.config import parse_options

images, folder = sys.argv[1:]
for policy in ("case_study", "membrane"):
    samples, _ = create_samples(parse_options([
        f"--data_path={images}", "--dataset=folders", "--num_channels=3", "--image_size=[32,32]",
        f"--augmentation={policy}"], ""))
    batches = training_batches(samples, Schedule(len(samples), 1, 2, 2), num_parallel_workers=2)
    assert len(list(batches)) == 8 and samples[0][0].shape == (3, 32, 32)

ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 4, 4]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", ends[:1], ends[1:])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), f"{folder}/x.onnx")
assert OnnxNetwork(f"{folder}/x.onnx")(np.full((1, 2, 4, 4), -1, np.float32)).max() == 0
"""


@pytest.fixture
def watched(tmp_path):
    """Runs Python code with an empty home folder; gives its lookups and connections, and the files in that folder."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler, with which to make what watches the connections")
    library, home, log = tmp_path / "watch.so", tmp_path / "home", tmp_path / "log"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, FIXTURES / "watch_network.c", "-ldl"], check=True)
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in (
        "NO_ALBUMENTATIONS_UPDATE", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    environment |= {"HOME": str(home), "WATCH_LOG": str(log), "LD_PRELOAD": str(library), "PYTHONPATH": str(PROJECT)}

    def run(code, *arguments):
        log.write_text("")
        result = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], env=environment, cwd=tmp_path,
                                capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return log.read_text().splitlines(), sorted(path.name for path in home.rglob("*"))
    return run


@pytest.mark.slow
def test_nothing_is_asked_and_nothing_is_left(watched, nuclei, tmp_path):
    connections = "import socket\ntry:\n    socket.create_connection(('localhost', 1))\nexcept OSError:\n    pass"
    seen, _ = watched(connections)
    assert seen[0] == "look up localhost" and "connect" in seen       # it is seen if there is one
    assert watched(WORK, nuclei, tmp_path) == ([], [])
