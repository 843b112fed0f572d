"""Small networks in ONNX files, as other programs write them."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

FREE = ("n", 2, "h", "w")
TRIMMED = 9     # of ``unet_file``: 4 pixels below, which are 8 above, and one that the last convolution takes


def onnx_file(shape=(1, 1, 16, 16), classes=2, metadata=None):
    """A network that gives its input, whatever it says."""
    return _file([helper.make_node("Transpose", ["x"], ["y"], perm=[0, 2, 3, 1])], [], shape,
                 [shape[0], *shape[2:], classes], metadata)


def halving_file(shape=(1, 2, 256, 256), metadata=None):
    """A network that gives every second pixel of two channels."""
    nodes = [helper.make_node("MaxPool", ["x"], ["z"], kernel_shape=[1, 1], strides=[2, 2]),
             helper.make_node("Transpose", ["z"], ["y"], perm=[0, 2, 3, 1])]
    sides = [side // 2 if isinstance(side, int) else f"half {side}" for side in shape[2:]]
    return _file(nodes, [], shape, [shape[0], *sides, 2], metadata)


def cropping_file(side, margin, metadata=None):
    """A network that takes two channels, and gives all but a margin, as valid convolutions do."""
    ends = [numpy_helper.from_array(np.array(values), name) for name, values in (
        ("first", [margin] * 2), ("end", [-margin] * 2), ("axes", [2, 3]))]
    nodes = [helper.make_node("Slice", ["x", "first", "end", "axes"], ["z"]),
             helper.make_node("Transpose", ["z"], ["y"], perm=[0, 2, 3, 1])]
    return _file(nodes, ends, (1, 2, side, side), [1, side - 2 * margin, side - 2 * margin, 2], metadata)


def unet_file(shape=FREE, metadata=None, **convolution):
    """A U-Net of two levels, with these attributes of its last convolution."""
    rng = np.random.default_rng(0)
    weights = [numpy_helper.from_array(rng.uniform(-1, 1, size).astype(np.float32), name)
               for name, size in (("up", (2, 2, 2, 2)), ("last", (2, 4, 3, 3)))]
    nodes = [helper.make_node("MaxPool", ["x"], ["below"], kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("ConvTranspose", ["below", "up"], ["above"], kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("Concat", ["x", "above"], ["both"], axis=1),
             helper.make_node("Conv", ["both", "last"], ["z"],
                              **(convolution or {"pads": [1] * 4, "kernel_shape": [3, 3]})),
             helper.make_node("Transpose", ["z"], ["y"], perm=[0, 2, 3, 1])]
    return _file(nodes, weights, shape, [shape[0], *shape[2:], 2], metadata)


def _file(nodes, constants, shape, result, metadata):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides)
            for name, sides in (("x", shape), ("y", result))]
    model = helper.make_model(helper.make_graph(nodes, "graph", ends[:1], ends[1:], constants),
                              opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    helper.set_model_props(model, metadata or {})
    return model.SerializeToString()
