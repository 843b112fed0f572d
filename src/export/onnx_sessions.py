"""The programs that run ONNX files: ONNX Runtime, and OpenVINO where it is installed. Without MindSpore."""
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import onnx

from src.export.onnx_trim import trimmed
from src.model_utils.errors import UNetError
from src.model_utils.inputs import MOST_NETWORK, read_input
from src.model_utils.packages import import_onnxruntime, import_openvino
from src.model_utils.processors import usable_processors

onnxruntime = import_onnxruntime()

# device_target -> ONNX Runtime's name for it.
PROVIDERS = {"CPU": "CPUExecutionProvider", "GPU": "CUDAExecutionProvider", "Ascend": "CANNExecutionProvider"}

Shape = tuple[int | None, ...]      # None for a side that is free


class Session(Protocol):
    """A loaded ONNX file.

    Attributes:
        provider: what runs it.
        inputs, outputs: their shapes.
        metadata: the file's.
        lost: pixels that the result of a trimmed network lacks at each side; 0 of a whole one.
    """
    provider: str
    inputs: list[Shape]
    outputs: list[Shape]
    metadata: dict[str, str]
    lost: int

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return the first output for the first input."""


class SessionOptions(NamedTuple):
    """How to run an ONNX file.

    Attributes:
        backend: openvino; all others are ONNX Runtime.
        device: device_target.
        precision: cpu_precision; OpenVINO can multiply in bfloat16.
        shares_memory: use one pool of memory together with all networks that do so. This is for networks on one CPU
            that run in turn.
        most_trimmed: trim networks of same convolutions (see ``src.networks.layers``) if their results then lack no
            more than so many pixels at each side; 0 leaves them whole.
    """
    backend: str = "onnx"
    device: str = "CPU"
    precision: str = "float32"
    shares_memory: bool = False
    most_trimmed: int = 0


ON_CPU = SessionOptions()
LOOPS = {"Loop", "Scan", "SequenceMap"}


def open_session(path: Path, options: SessionOptions) -> Session:
    """Load an ONNX file.

    Raises:
        UNetError: it cannot be loaded, the program is not installed, or has nothing for the device.
    """
    if options.backend == "openvino":
        import_openvino()       # whatever the file is like, it could not be run
    data = read_input(path, MOST_NETWORK)
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:      # protobuf's errors have no common base class either
        raise cannot_load(path, "ONNX Runtime", error) from None
    _check_graph(path, model)
    smaller, lost = trimmed(model, options.most_trimmed) if options.most_trimmed else (model, 0)
    content = smaller.SerializeToString() if lost else data     # what was checked, whatever is in the file by now
    if options.backend == "openvino":
        return OpenVinoSession(path, options, content, lost,
                               {entry.key: entry.value for entry in model.metadata_props})
    return OnnxRuntimeSession(path, options, content, lost)


def _check_graph(path: Path, model: onnx.ModelProto) -> None:
    """Refuse loops, which may never end, and functions of functions, which grow without bound.

    Weights in other files could be any files of this user.
    """
    for graph in _graphs(model.graph):
        attributes = [item for node in graph.node for item in node.attribute]
        sparse = [*graph.sparse_initializer, *(item.sparse_tensor for item in attributes)]
        tensors = [*graph.initializer, *(item.t for item in attributes), *chain(*(item.tensors for item in attributes)),
                   *(part for one in sparse for part in (one.values, one.indices))]
        if loops := LOOPS.intersection(node.op_type for node in graph.node):
            raise UNetError(f"{path}: the network has loops ({', '.join(sorted(loops))}); export it without them")
        if any(tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors):
            raise UNetError(f"{path}: the network has its weights in other files; save it as one file, with "
                            f"onnx.save(onnx.load(FILE), FILE)")
    if model.functions:
        raise UNetError(f"{path}: the network has functions; put their nodes in their places, with "
                        f"onnx.inliner.inline_local_functions")


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and those in its nodes, the branches of If."""
    yield graph
    for node in graph.node:
        for item in node.attribute:
            for inner in (*([item.g] if item.HasField("g") else []), *item.graphs):
                yield from _graphs(inner)


class OnnxRuntimeSession:
    """The content of a file in ONNX Runtime; see ``Session``."""

    def __init__(self, path: Path, options: SessionOptions, content: bytes, lost: int) -> None:
        providers = choose_providers(options.device)
        own = onnxruntime.SessionOptions()
        own.log_severity_level = 4      # errors are raised anyway
        own.enable_mem_pattern = False  # it would need a fifth more memory and is no faster
        if options.shares_memory:
            _make_shared_memory()
            own.add_session_config_entry("session.use_env_allocators", "1")
        try:
            self._session = onnxruntime.InferenceSession(content, own, providers=providers,
                                                         enable_fallback=0)     # it prints what the file holds
        # What ONNX Runtime raises for a damaged file has no common base class.
        except Exception as error:
            raise cannot_load(path, "ONNX Runtime", error) from None
        self.provider = self._session.get_providers()[0]
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self.inputs, self.outputs = ([_fixed(node.shape) for node in nodes] for nodes in (inputs, outputs))
        self.metadata, self.lost = dict(self._session.get_modelmeta().custom_metadata_map), lost
        self._name = inputs[0].name if inputs else ""

    def run(self, images: np.ndarray) -> np.ndarray:
        """See ``Session``."""
        return self._session.run(None, {self._name: images})[0]


class OpenVinoSession:
    """The content of a file in OpenVINO on the CPU; see ``Session``."""

    def __init__(self, path: Path, options: SessionOptions, content: bytes, lost: int,
                 metadata: dict[str, str]) -> None:
        if options.device not in ("CPU", "auto"):
            raise UNetError(f"device_target {options.device}: backend openvino runs on the CPU; use "
                            f"--device_target=CPU, or --backend=onnx")
        openvino = import_openvino()
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": usable_processors(),
                 # On processors that can, it would multiply in bfloat16 by itself.
                 "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[options.precision]}
        try:
            core = openvino.Core()
            self._compiled = core.compile_model(core.read_model(content), "CPU", hints)
        except Exception as error:
            raise cannot_load(path, "OpenVINO", error) from None
        self.provider = f"OpenVINO {openvino.__version__.split('-')[0]}"
        self.inputs, self.outputs = ([_sides(port.partial_shape) for port in ports]
                                     for ports in (self._compiled.inputs, self._compiled.outputs))
        self.metadata, self.lost = metadata, lost       # OpenVINO keeps no metadata

    def run(self, images: np.ndarray) -> np.ndarray:
        """See ``Session``."""
        return self._compiled(images, share_inputs=True)[0]


def cannot_load(path: Path, program: str, error: Exception, what: str = "load") -> UNetError:
    """Return the error of a file that a program refuses, when it loads or runs it."""
    # OpenVINO begins with lines that only say where in its own source it stopped.
    lines = [line.strip() for line in str(error).splitlines()
             if line.strip() and not line.startswith(("Exception from ", "Check "))]
    return UNetError(f"{path}: {program} cannot {what} it ({(lines or [type(error).__name__])[0][:200]})")


@lru_cache(maxsize=1)
def _make_shared_memory() -> None:
    """Make the pool of memory that networks share, once in a process. Otherwise each keeps what it needs at most."""
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo("Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                                  onnxruntime.OrtMemType.DEFAULT), None)


def choose_providers(device: str) -> list[str]:
    """Return ONNX Runtime's providers for a ``device_target``; for auto the best that is available."""
    offered = onnxruntime.get_available_providers()
    wanted = [PROVIDERS[name] for name in ("Ascend", "GPU", "CPU")] if device == "auto" else [PROVIDERS[device]]
    found = [name for name in wanted if name in offered]
    if not found:
        names = [target for target, provider in PROVIDERS.items() if provider in offered]
        raise UNetError(f"device_target {device}: ONNX Runtime has no {wanted[0]} here, but {', '.join(offered)}; "
                        f"use --device_target={names[0]}, or install the ONNX Runtime for {device}")
    return found


def _fixed(shape: Sequence[int | str]) -> Shape:
    """Return the shape of ONNX Runtime's input or output, None for sides with a name instead of a size."""
    return tuple(side if isinstance(side, int) else None for side in shape)


def _sides(shape: Any) -> Shape:
    """Return an OpenVINO shape."""
    return tuple(side.get_length() if side.is_static else None for side in shape)
