"""ONNX files of same convolutions, trimmed for windows as ``src.networks.layers`` says. Without MindSpore.

The graph is followed from the input. ``lost`` is what a tensor lacks at each side, in its own pixels, against that of
the file; ``spoiled`` is how many of the pixels at its sides differ from those. What is spoiled is cut off where the
tensor meets a skip. Files of eight bits are cut before they become float32, so that runtimes find their patterns.
"""
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from src.networks.receptive_field import TRIMMED_BELOW

PIXELWISE = {"Relu", "BatchNormalization", "QuantizeLinear", "DequantizeLinear", "Softmax", "Sigmoid", "Transpose",
             "ArgMax", "Cast", "Identity"}


class _Unknown(Exception):
    """A graph that is none of our networks'."""


class _State(NamedTuple):
    """See the module. ``is_up``: the tensor is on the way up."""
    lost: int = 0
    spoiled: int = 0
    is_up: bool = False


def trimmed(model: onnx.ModelProto, most: int) -> tuple[onnx.ModelProto, int]:
    """Return a trimmed copy of a model, and how many pixels its result lacks at each side.

    They are the model itself and 0 if its graph is not that of a U-Net of same convolutions, or lacked more than
    ``most``.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    try:
        lost = _Trimming(copy.graph).run()
    except _Unknown:
        return model, 0
    return (copy, lost) if lost <= most else (model, 0)


class _Trimming:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.states = {graph.input[0].name: _State()}
        self.nodes: list[onnx.NodeProto] = []
        self.sources: dict[str, onnx.NodeProto] = {}

    def run(self) -> int:
        """Rewrite the graph; return how many pixels its result lacks at each side."""
        nodes = list(self.graph.node)
        for node in nodes:
            states = [self.states[name] for name in node.input if name in self.states]
            if states:
                self.states[node.output[0]] = self._follow(node, states)
            self._add(node)
        last = self.states.get(self.graph.output[0].name)
        if last is None or not last.is_up or last.spoiled:
            raise _Unknown
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.value_info[:]
        for side, name in ((1, "rows"), (2, "columns")):    # no longer those of the input
            self.graph.output[0].type.tensor_type.shape.dim[side].dim_param = name
        return last.lost

    def _follow(self, node: onnx.NodeProto, states: list[_State]) -> _State:
        state = states[0]
        if node.op_type == "Concat":
            lost = max(state.lost + state.spoiled for state in states)
            node.input[:] = [self._cut(name, lost - self.states[name].lost) for name in node.input]
            return _State(lost, 0, True)
        if len(states) > 1:
            raise _Unknown
        if node.op_type in ("ConvTranspose", "Resize"):
            if not state.is_up:
                node.input[0] = self._cut(node.input[0], TRIMMED_BELOW)
                state = _State(TRIMMED_BELOW)
            is_linear = any(helper.get_attribute_value(attribute) == b"linear" for attribute in node.attribute)
            return _State(2 * state.lost, 2 * state.spoiled + is_linear, True)
        if node.op_type == "Conv" and state.is_up:
            return self._valid(node, state)
        if node.op_type in PIXELWISE or not state.is_up and node.op_type in ("Conv", "MaxPool"):
            return state
        raise _Unknown

    def _valid(self, node: onnx.NodeProto, state: _State) -> _State:
        """Make a same convolution valid; one of an even kernel stays, and spoils a pixel."""
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        kernels = set(attributes.get("kernel_shape", []))       # which ONNX allows to leave out
        if len(kernels) != 1 or {*attributes.get("dilations", []), *attributes.get("strides", [])} - {1}:
            raise _Unknown
        kernel = kernels.pop()
        if not attributes.get("auto_pad", b"").startswith(b"SAME") and set(attributes.get("pads", [])) != {kernel // 2}:
            raise _Unknown
        if kernel % 2 == 0:
            return state._replace(spoiled=state.spoiled + kernel - 1)
        for attribute in [attribute for attribute in node.attribute if attribute.name in ("auto_pad", "pads")]:
            node.attribute.remove(attribute)
        return state._replace(lost=state.lost + kernel // 2)

    def _cut(self, name: str, margin: int) -> str:
        """Cut ``margin`` pixels off each side of a tensor; return the name of the rest."""
        if not margin:
            return name
        source = self.sources.get(name)
        if source is not None and source.op_type == "DequantizeLinear":
            small = onnx.NodeProto()
            small.CopyFrom(source)
            small.input[0] = self._cut(source.input[0], margin)
            small.output[0] = f"{name}-cut-{len(self.nodes)}"
            small.name = small.output[0]
            return self._add(small)
        names = [self._constant([sign * margin] * 2) for sign in (1, -1)]
        return self._add(helper.make_node("Slice", [name, *names, self._constant([2, 3])],
                                          [f"{name}-cut-{len(self.nodes)}"], f"cut-{len(self.nodes)}"))

    def _constant(self, values: list[int]) -> str:
        name = f"trim-{'-'.join(map(str, values))}"
        if all(known.name != name for known in self.graph.initializer):
            self.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def _add(self, node: onnx.NodeProto) -> str:
        self.nodes.append(node)
        for name in node.output:
            self.sources[name] = node
        return node.output[0]
