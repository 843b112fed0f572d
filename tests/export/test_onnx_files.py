"""ONNX files of others: what they may hold, and what they do when they run."""
from importlib.util import find_spec

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from src.export.onnx_model import OnnxNetwork
from src.export.onnx_sessions import SessionOptions
from src.model_utils.errors import UNetError
from tests.support.alarm import in_time

PERMUTE = helper.make_node("Transpose", ["x"], ["y"], perm=[0, 2, 3, 1])
SAME = helper.make_graph([helper.make_node("Identity", ["x"], ["q"])], "same", [],
                         [helper.make_tensor_value_info("q", TensorProto.FLOAT, None)])


@pytest.fixture(params=["onnx", *(["openvino"] if find_spec("openvino") else [])])
def run(request, tmp_path):
    """Writes a network of nodes, and runs it on zeros."""
    def of(nodes, constants=(), functions=(), output=("n", "h", "w", 1), kind=TensorProto.FLOAT):
        graph = helper.make_graph(nodes, "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT,
                                                                                 ("n", 1, "h", "w"))],
                                  [helper.make_tensor_value_info("y", kind, output)], list(constants))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("f", 1)],
                                  ir_version=8, functions=list(functions))
        (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
        with in_time(30):
            return OnnxNetwork(tmp_path / "x.onnx", SessionOptions(request.param))(np.zeros((2, 1, 8, 9), np.float32))
    return of


def doubled(count):
    """Functions that call the one before twice: 2 ** count nodes."""
    places = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    yield helper.make_function("f", "f0", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], places)
    for number in range(count):
        calls = [helper.make_node(f"f{number}", [one], [two], domain="f") for one, two in ("ac", "cb")]
        yield helper.make_function("f", f"f{number + 1}", ["a"], ["b"], calls, places)


def test_a_network_runs(run):
    assert run([PERMUTE]).shape == (2, 8, 9, 1)


def refused(run, *arguments, **options):
    with pytest.raises(UNetError, match=r"x\.onnx: ") as caught:
        run(*arguments, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    return str(caught.value)


def test_loops_and_functions(run):
    """A branch of If is taken once at most; a loop in it may never end."""
    condition = helper.make_tensor("k", TensorProto.BOOL, [], [1])
    branch = helper.make_node("If", ["k"], ["z"], then_branch=SAME, else_branch=SAME)
    assert run([PERMUTE, branch], [condition]).shape == (2, 8, 9, 1)
    loop = helper.make_node("Loop", ["", "k"], [], body=helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"])], "body", [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("d", TensorProto.BOOL, [])]))
    hidden = helper.make_node("If", ["k"], ["z"], then_branch=SAME, else_branch=helper.make_graph(
        [loop, *SAME.node], "with a loop", [], SAME.output))
    for node in (loop, hidden):
        assert "has loops (Loop)" in refused(run, [PERMUTE, node], [condition])
    call = helper.make_node("f40", ["x"], ["z"], domain="f")
    assert "onnx.inliner.inline_local_functions" in refused(run, [PERMUTE, call], functions=doubled(40))


def test_weights_in_other_files(run, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(4))
    weights = onnx.TensorProto(name="k", dims=[1], data_type=TensorProto.FLOAT,
                               data_location=onnx.TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="secret")
    for nodes, constants in (([helper.make_node("Add", ["x", "k"], ["z"])], [weights]),
                             ([helper.make_node("Constant", [], ["z"], value=weights)], [])):
        assert "has its weights in other files" in refused(run, [PERMUTE, *nodes], constants)


def test_networks_that_fail_while_they_run(run):
    shape = helper.make_tensor("s", TensorProto.INT64, [4], [1, 7, 7, 7])
    message = refused(run, [helper.make_node("Reshape", ["x", "s"], ["y"])], [shape])
    assert "cannot run it" in message or "gave 1x7x7x7" in message      # OpenVINO does not always look


def test_results_that_are_not_what_the_file_says(run):
    reshaped = helper.make_node("Reshape", ["x", "s"], ["y"])
    sides = helper.make_tensor("s", TensorProto.INT64, [4], [1, 16, 9, 1])
    assert "gave 1x16x9x1" in refused(run, [reshaped], [sides])
    boolean = helper.make_node("Cast", ["z"], ["y"], to=TensorProto.BOOL)
    permuted = helper.make_node("Transpose", ["x"], ["z"], perm=[0, 2, 3, 1])
    assert "bool" in refused(run, [permuted, boolean], kind=TensorProto.BOOL)
