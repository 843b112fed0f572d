"""Repair of the graph that MindSpore's ONNX exporter writes. Without MindSpore."""
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter

# MindSpore writes opset 11, which quantisers and several runtimes refuse. This one is of IR version 8 (ONNX 1.12).
OPSET, IR_VERSION = 17, 8

# The attributes of ONNX' Resize for upsampling by 2 with aligned pixel centres.
RESIZE = {"bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
          "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}}


def fix_graph(path: str | Path, upsampling: str, is_dynamic: bool = False,
              metadata: Mapping[str, str] | None = None) -> None:
    """Rewrite an exported file so that ONNX Runtime takes it, and check it.

    - The ``output_shape`` of a transposed convolution has four numbers where ONNX expects two. It is removed, since
      kernel 2, stride 2 and no padding define the shape.
    - Each Resize stands for upsampling by 2 (see ``src.export.export.ExportLayers``). It becomes bilinear or nearest
      upsampling of images of any size.
    - The opset becomes ``OPSET``, and initializers that no node uses are removed.

    Args:
        path: the file.
        upsampling: bilinear or nearest; other values are for networks without Resize.
        is_dynamic: make batch, height and width of input and output free, under these names.
        metadata: to store in the file.

    Raises:
        ValueError: a node is not as expected.
        onnx.checker.ValidationError: the result is not valid.
    """
    model = onnx.load(str(path))
    for node in model.graph.node:
        if node.op_type == "ConvTranspose":
            _drop_output_shape(node)
    _fix_upsampling(model.graph, upsampling)
    _name_ends(model.graph)
    if is_dynamic:
        _free_sizes(model.graph)
    _drop_unused(model.graph)
    model = version_converter.convert_version(model, OPSET)
    model.ir_version = IR_VERSION
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def reverse_channels(path: Path) -> None:
    """Rewrite a file of three channels so that it takes them as red, green, blue, and not as blue, green, red."""
    model = onnx.load(path)
    image = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["reversed" if name == image else name for name in node.input]
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "order"))
    model.graph.node.insert(0, helper.make_node("Gather", [image, "order"], ["reversed"], axis=1))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _drop_output_shape(node):
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if attributes["kernel_shape"] != attributes["strides"] or attributes.get("auto_pad") != b"VALID":
        raise ValueError(f"a transposed convolution with {attributes} is not supported")
    for name in ("output_shape", "auto_pad"):
        del attributes[name]
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())


def _fix_upsampling(graph, upsampling):
    nodes = [node for node in graph.node if node.op_type == "Resize"]
    if not nodes:
        return
    graph.initializer.extend([numpy_helper.from_array(np.zeros(0, np.float32), "no_roi"),
                              numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")])
    sizes = {node.input[3] for node in nodes}
    for node in nodes:
        node.input[:] = [node.input[0], "no_roi", "twice"]
        del node.attribute[:]
        node.attribute.extend(helper.make_attribute(name, value) for name, value in RESIZE[upsampling].items())
    # The former sizes are constants that no node uses any more.
    for node in [node for node in graph.node if node.op_type == "Constant" and node.output[0] in sizes]:
        graph.node.remove(node)


def _name_ends(graph):
    """Name the input "image" and the output "mask". The exporter gives an ArgMax output the name of no node."""
    for value, name in ((graph.input[0], "image"), (graph.output[0], "mask")):
        for node in graph.node:
            node.input[:] = [name if own == value.name else own for own in node.input]
            node.output[:] = [name if own == value.name else own for own in node.output]
        value.name = name


def _free_sizes(graph):
    for value, axes in ((graph.input[0], (0, 2, 3)), (graph.output[0], (0, 1, 2))):      # NCHW, NHWC
        for axis, name in zip(axes, ("batch", "height", "width")):
            value.type.tensor_type.shape.dim[axis].dim_param = name
    del graph.value_info[:]


def _drop_unused(graph):
    """Remove initializers that no node uses; runtimes warn of them."""
    used = {name for node in graph.node for name in node.input}
    kept = [initializer for initializer in graph.initializer if initializer.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
