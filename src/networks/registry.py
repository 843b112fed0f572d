"""The networks by their names, and what can be asked of one before it is built.

A network of the name ``unet_x`` is the class that ``src/networks/unet_x.py`` registers under that name. MindSpore loads
when a network is asked for, not when this module is imported.
"""
import importlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from src.model_utils.errors import UNetError
from src.networks.receptive_field import ReceptiveField, same_field, valid_field


@dataclass(frozen=True)
class NetworkSpec:
    """What makes a network: its name and the options that change its parameters. The options' help says more."""
    model_name: str
    num_channels: int
    num_classes: int
    use_deconv: bool
    use_bn: bool
    use_ds: bool
    weight_init: str

    @classmethod
    def from_config(cls, config: Any) -> "NetworkSpec":
        """Take the options of these names."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Entry:
    """What a network's class says of itself with ``register``.

    Attributes:
        network_class: the class. Its ``output_size(size)`` gives the height (or width) of the logits for an input of
            height (or width) ``size``, None where the network cannot take it.
        arguments: argument of the class -> field of NetworkSpec.
        output: softmax, a channel a class; or sigmoid, one channel for class 1 of two.
        upsampling: NetworkSpec -> how it goes up a level: deconv, bilinear or nearest.
        heads: NetworkSpec -> how many heads it stacks in training, (heads, N, C, H, W); 1 means (N, C, H, W).
    """
    network_class: type[Any]
    arguments: dict[str, str]
    output: str
    upsampling: Callable[[NetworkSpec], str]
    heads: Callable[[NetworkSpec], int]


_ENTRIES: dict[str, Entry] = {}


def register(model_name: str, arguments: dict[str, str], upsampling: str | Callable[[NetworkSpec], str],
             output: str = "softmax", heads: Callable[[NetworkSpec], int] = lambda spec: 1) -> Callable[[type], type]:
    """Register the decorated class as a network; see ``Entry``."""
    def add(network_class: type[Any]) -> type[Any]:
        by_spec = upsampling if callable(upsampling) else lambda spec: upsampling
        network_class.output = output       # a network knows it too, for ``UnetEval``
        _ENTRIES[model_name] = Entry(network_class, arguments, output, by_spec, heads)
        return network_class

    return add


def names() -> list[str]:
    """Names of all networks, which are those of the files of this folder."""
    return sorted(path.stem for path in Path(__file__).parent.glob("unet_*.py"))


def entry(model_name: str) -> Entry:
    """What the network of a name says of itself.

    Raises:
        UNetError: there is no such network.
    """
    if model_name not in names():
        raise UNetError(f"model_name {model_name!r}: known networks are {', '.join(names())}")
    importlib.import_module(f"src.networks.{model_name}")
    return _ENTRIES[model_name]


def build_network(spec: NetworkSpec, layers: Any = None) -> Any:
    """Build a network with fresh weights.

    Args:
        spec: which one.
        layers (Layers): the layer set to build from; MindSpore's own unless given.

    Returns:
        nn.Cell: (N, num_channels, H, W) float32 -> logits (N, output_channels, h, w); see the class.

    Raises:
        UNetError: more classes than a network of one output channel can tell apart.
    """
    from src.networks.layers import MINDSPORE, initialize

    found = entry(spec.model_name)
    if found.output == "sigmoid" and spec.num_classes != 2:
        raise UNetError(f"{spec.model_name} has one output channel, for class 1 of two; num_classes is "
                        f"{spec.num_classes}: set it to 2, or take another network")
    arguments = {name: getattr(spec, field) for name, field in found.arguments.items()}
    network = found.network_class(**arguments, layers=layers or MINDSPORE)
    initialize(network, spec.weight_init)
    return network


def output_channels(spec: NetworkSpec) -> int:
    """Channels of the logits: one for a network that ends in a sigmoid, else one a class."""
    return 1 if entry(spec.model_name).output == "sigmoid" else spec.num_classes


def probabilities(spec: NetworkSpec) -> str:
    """The ``eval_activate`` that makes probabilities of the logits: Sigmoid for one output channel, else Softmax."""
    return entry(spec.model_name).output.capitalize()


def output_size(model_name: str, size: tuple[int, int]) -> tuple[int, int]:
    """Size of the logits for an input of ``size``, both (height, width).

    Raises:
        UNetError: the network cannot take that size; the message names the nearest that it can.
    """
    rule = entry(model_name).network_class.output_size
    result = tuple(rule(side) for side in size)
    if None in result:
        nearest = [_nearest_valid(rule, side) for side in size]
        raise UNetError(f"{model_name} cannot take an image of {size[0]}x{size[1]} (height x width); the nearest sizes "
                        f"it can take are {' and '.join(f'{h}x{w}' for h, w in sorted(set(zip(*nearest))))}")
    return result


def check_sizes(model_name: str, image_size: tuple[int, int], label_size: tuple[int, int],
                image_option: list[int]) -> None:
    """Hold the sizes (height, width) of images and labels against the network.

    Args:
        model_name: the network.
        image_size: of its input.
        label_size: of the labels.
        image_option: the option ``image_size``, whose order the advice follows.

    Raises:
        UNetError: the network cannot take the image, or gives logits of another size than the label.
    """
    logits_size = output_size(model_name, image_size)
    if logits_size != tuple(label_size):
        margins = [size - result for size, result in zip(image_size, logits_size)]
        crop = [side - margin for side, margin in zip(image_option, margins)]
        advice = f"set crop to {crop}" if any(margins) else "set crop to None"
        raise UNetError(f"{model_name} makes {logits_size[0]}x{logits_size[1]} logits of {image_size[0]}x"
                        f"{image_size[1]} images (height x width), but the labels are {label_size[0]}x{label_size[1]}; "
                        f"{advice}")


def receptive_field(spec: NetworkSpec) -> ReceptiveField:
    """How a network maps input to output, for prediction in windows."""
    size = smallest_size(spec.model_name)
    margin_lost = (size - output_size(spec.model_name, (size, size))[0]) // 2
    return valid_field(margin_lost) if margin_lost else same_field(entry(spec.model_name).upsampling(spec))


def window_size(spec: NetworkSpec, side: int) -> tuple[int, int] | None:
    """(height, width) of all prediction windows of a network of valid convolutions; None for one of same convolutions.

    Args:
        spec: the network.
        side: of the windows that are asked for.

    Raises:
        UNetError: the network cannot take windows of that size.
    """
    if not receptive_field(spec).margin_lost:
        return None
    output_size(spec.model_name, (side, side))
    return side, side


def smallest_size(model_name: str) -> int:
    """Smallest height (or width) that the network can take."""
    return _nearest_valid(entry(model_name).network_class.output_size, 1)[1]


def _nearest_valid(rule, size):
    """The nearest valid sizes not above and not below ``size``; the smallest one twice where none is below."""
    above = next(side for side in range(max(size, 1), size + 10**4) if rule(side))
    below = next((side for side in range(size, 0, -1) if rule(side)), above)
    return below, above
