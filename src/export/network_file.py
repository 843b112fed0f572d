"""What an exported file says about its network: in the metadata of an ONNX file, else in a JSON file beside it.

Without MindSpore.
"""
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from src import __version__
from src.data.input_options import COLOR, EVAL_ACTIVATE, GEOMETRY, NAMES, NETWORK, check, input_options, with_given
from src.data.notices import say_once
from src.data.trained_geometry import TrainedGeometry
from src.export.onnx_model import OnnxNetwork
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import remove, with_ending, write_atomically
from src.model_utils.inputs import not_there, read_json
from src.networks.registry import NetworkSpec, receptive_field
from src.report.drawing import palette
from src.tiling.predictor import side_in_memory

SIDECAR_ENDINGS = (".mindir", ".air")
INPUT_SIZE = "input_size"   # (height, width), of a file that takes one size


def describe(spec: NetworkSpec, state: Mapping[str, Any] | None, config: Config | None, activate: str,
             fixed_size: tuple[int, int] | None, colors: list[list[int]]) -> dict[str, Any]:
    """Return what others must know about a network to predict with it, and what it was made of.

    Args:
        spec: the network.
        state: of the checkpoint; None of a file without one.
        config: the user's options, which say what the checkpoint does not; None leaves that out.
        activate: Softmax, Argmax or Sigmoid.
        fixed_size: (height, width) of the images that the file takes; None if they are free.
        colors: red, green and blue of the classes.

    Returns:
        dict: what prediction follows (``src.data.input_options``), and:
        input_size: (height, width), if the file takes only one;
        context, grid: the receptive field's, for prediction in windows (the grid is its stride); window: side of the
        largest of them;
        scale: factor by which training resized images; data_fingerprint of the training samples;
        input_axes, output_axes; versions of the programs that wrote the file.
    """
    field, state = receptive_field(spec), state or {}
    stored = input_options(state)
    options = {name: getattr(spec, name) for name in NETWORK} | (with_given(stored, config) if config else stored)
    sizes = TrainedGeometry.of_dict(options[GEOMETRY]).sizes if GEOMETRY in options else None
    if sizes and fixed_size and sizes.input != fixed_size:
        del options[GEOMETRY]       # the file does not take images as training resized them
    found = {name: state[name] for name in ("scale", "data_fingerprint") if name in state}
    return {**options, EVAL_ACTIVATE: activate, COLOR: palette(colors, spec.num_classes)[:spec.num_classes].tolist(),
            **({INPUT_SIZE: list(fixed_size)} if fixed_size else {}),
            "context": field.context, "grid": field.stride, "window": side_in_memory(spec), **found,
            "input_axes": "batch, channel, height, width",
            "output_axes": "batch, height, width" + ("" if activate == "Argmax" else ", class"),
            "versions": {"unet_mindspore": __version__, "mindspore": metadata.version("mindspore")}}


def sidecar(path: Path) -> Path:
    """Return the JSON file beside an exported file."""
    return path.with_name(f"{path.name}.json")


def write_sidecar(path: Path, about: dict[str, Any]) -> None:
    """Write what ``describe`` says beside an exported file."""
    write_atomically(sidecar(path), json.dumps(about, indent=1).encode())


def copy_description(onnx_path: Path, path: Path) -> None:
    """Write the metadata of an ONNX file beside the file of another format that was made of it."""
    network = OnnxNetwork(onnx_path)
    if not network.metadata:
        remove(sidecar(path))       # that of an earlier network
        return
    size = {INPUT_SIZE: list(network.fixed_size)} if network.fixed_size else {}
    write_sidecar(path, {**network.metadata, **network.options, **size})


def options_of(config: Config) -> dict[str, Any]:
    """Return the options (see ``src.data.input_options``) of the exported file that the option file_name names.

    They are empty if file_name has not the ending of an exported file, or the file does not say.

    Raises:
        UNetError: there is no such file, or what it says cannot be read.
    """
    path = _exported(config)
    if path.suffix.lower() == ".onnx":
        network = OnnxNetwork(path)
        network.warn_of_silence()
        return network.options
    about = _beside(path)
    return {name: about[name] for name in NAMES if name in about}


def check_size(config: Config, size: tuple[int, int]) -> None:
    """Check that the exported file that file_name names takes inputs of ``size``, (height, width).

    Raises:
        UNetError: it takes another size; or see ``options_of``.
    """
    path = _exported(config)
    fixed = OnnxNetwork(path).fixed_size if path.suffix.lower() == ".onnx" else _beside(path).get(INPUT_SIZE)
    if fixed and tuple(fixed) != size:
        raise UNetError(f"{path} takes inputs of {fixed[0]}x{fixed[1]} (height x width), and the options make them "
                        f"{size[0]}x{size[1]}; change image_size, or export the network for these, with "
                        f"--height={size[0]} --width={size[1]}")


def _exported(config: Config) -> Path:
    """Return the exported file that file_name names; on the command line the ending may be left out, as for export.py.

    Raises:
        UNetError: no file, or several, have the name and an ending.
    """
    path, endings = Path(config.file_name), (".onnx", *SIDECAR_ENDINGS)
    if "file_name" not in config.on_command_line or path.suffix.lower() in endings:
        return path
    found = [file for ending in endings if (file := with_ending(path, ending)).is_file()]
    if len(found) != 1:
        names = " and ".join(file.name for file in found) or "none of them"
        raise UNetError(f"file_name {path}: expected one file with the ending {', '.join(endings)}; found {names}")
    return found[0]


def _beside(path: Path) -> dict[str, Any]:
    """Return what the JSON file beside an exported file says; nothing for names of other files, or without one."""
    if path.suffix.lower() not in SIDECAR_ENDINGS:
        return {}
    if not path.is_file():
        raise UNetError(f"file_name: {not_there(path, 'file')}; make one with export.py, or leave file_name out")
    if not sidecar(path).is_file():
        say_once(path, f"nothing beside it says what its network needs ({sidecar(path).name}); the options say it",
                 is_warning=True)
        return {}
    return read_json(sidecar(path), _checked, "cannot be read", "; export the network again, or leave out file_name")


def _checked(about: Any) -> dict[str, Any]:
    if not isinstance(about, dict):
        raise ValueError(f"names and values are expected, found {type(about).__name__}")
    check(about)
    _check_sides(about.get(INPUT_SIZE, [1, 1]))
    return about


def _check_sides(size: object) -> None:
    """Raise ValueError for what is no height and width."""
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(f"{INPUT_SIZE} is no height and width")
