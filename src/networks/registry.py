"""The networks by their names, and their properties.

The network ``unet_x`` is the class that ``src/networks/unet_x.py`` registers under that name. MindSpore is loaded only
when a network is looked up.
"""
import importlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path
from typing import Any

from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.networks.receptive_field import ReceptiveField, same_field, valid_field


@dataclass(frozen=True)
class NetworkSpec:
    """The options that define a network; their help texts say more."""
    model_name: str
    num_channels: int
    num_classes: int
    feature_scale: int
    use_deconv: bool
    use_bn: bool
    use_ds: bool
    weight_init: str

    @classmethod
    def from_config(cls, config: Config) -> "NetworkSpec":
        """Take the options of these names; num_classes is that of the network, see ``Config.network_classes``."""
        options = {field.name: getattr(config, field.name) for field in fields(cls)}
        return cls(**{**options, "num_classes": config.network_classes})


@dataclass(frozen=True)
class Entry:
    """A network's class and its properties, as given to ``register``.

    Attributes:
        network_class: the class. Its ``output_size(size)`` returns the height (or width) of the logits for an input of
            height (or width) ``size``, or None if the network cannot take the size.
        arguments: argument of the class -> field of NetworkSpec.
        output: softmax, a channel for each class; or sigmoid, one channel for class 1 of two classes.
        upsampling: NetworkSpec -> deconv, bilinear or nearest.
        heads: NetworkSpec -> number of heads in training. Their logits are stacked to (heads, N, C, H, W); a network
            of one head gives (N, C, H, W).
        most_channels: NetworkSpec -> channels of the full resolution that are in memory at once, in the last block:
            the skips, the upsampled tensor, their concatenation, and the result of its convolution.
    """
    network_class: type[Any]
    arguments: dict[str, str]
    output: str
    upsampling: Callable[[NetworkSpec], str]
    heads: Callable[[NetworkSpec], int]
    most_channels: Callable[[NetworkSpec], int]


_ENTRIES: dict[str, Entry] = {}


def register(model_name: str, arguments: dict[str, str], upsampling: str | Callable[[NetworkSpec], str],
             output: str = "softmax", heads: Callable[[NetworkSpec], int] = lambda spec: 1,
             most_channels: Callable[[NetworkSpec], int] = lambda spec: 320) -> Callable[[type[Any]], type[Any]]:
    """Register the decorated class as a network; see ``Entry``."""
    def add(network_class: type[Any]) -> type[Any]:
        by_spec = upsampling if callable(upsampling) else lambda spec: upsampling
        network_class.output = output       # ``UnetEval`` reads it from the network
        # For amp_level O1 MindSpore writes a changed source of the class and runs it, decorator and all.
        _ENTRIES.setdefault(model_name, Entry(network_class, arguments, output, by_spec, heads, most_channels))
        return network_class

    return add


def names() -> list[str]:
    """Return the names of all networks, which are those of the files unet_*.py in this folder."""
    return sorted(path.stem for path in Path(__file__).parent.glob("unet_*.py"))


def entry(model_name: str) -> Entry:
    """Look up a network.

    Raises:
        UNetError: there is no network of this name.
    """
    if model_name not in names():
        raise UNetError(f"model_name {model_name!r}: known networks are {', '.join(names())}")
    importlib.import_module(f"src.networks.{model_name}")
    return _ENTRIES[model_name]


def build_network(spec: NetworkSpec, layers: Any = None) -> Any:
    """Build a network with fresh weights.

    Args:
        spec: which network.
        layers (Layers): the layer set to build from; MindSpore's own by default.

    Returns:
        nn.Cell: (N, num_channels, H, W) float32 -> logits (N, output_channels, h, w); see the class.

    Raises:
        UNetError: more classes than a network of one output channel can tell apart.
    """
    from src.networks.layers import MINDSPORE, initialize

    found = entry(spec.model_name)
    check_classes(spec)
    arguments = {name: getattr(spec, field) for name, field in found.arguments.items()}
    network = found.network_class(**arguments, layers=layers or MINDSPORE)
    initialize(network, spec.weight_init)
    return network


def check_classes(spec: NetworkSpec) -> None:
    """Raise UNetError if there are more classes than a network of one output channel can tell apart."""
    if entry(spec.model_name).output == "sigmoid" and spec.num_classes != 2:
        raise UNetError(f"{spec.model_name} has one output channel, for class 1 of two; num_classes is "
                        f"{spec.num_classes}: set it to 2, or take another network (target boundary adds a class)")


def check_activation(output: str, eval_activate: str, name: str) -> None:
    """Raise UNetError if an activation does not fit the ``output`` of an Entry; ``name`` is that of the network."""
    if (eval_activate.lower() == "sigmoid") != (output == "sigmoid"):
        right = "Sigmoid" if output == "sigmoid" else "Softmax or Argmax"
        raise UNetError(f"eval_activate {eval_activate} does not fit {name}; set it to {right}")


def output_channels(spec: NetworkSpec) -> int:
    """Return the number of channels of the logits: 1 for a network with a sigmoid, else one for each class."""
    return 1 if entry(spec.model_name).output == "sigmoid" else spec.num_classes


def probabilities(spec: NetworkSpec) -> str:
    """Return the ``eval_activate`` that gives probabilities: Sigmoid for one output channel, else Softmax."""
    return entry(spec.model_name).output.capitalize()


def output_size(model_name: str, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the logits for an input of ``size``, both (height, width).

    Raises:
        UNetError: the network cannot take this size; the message names the nearest sizes that it can take.
    """
    rule = entry(model_name).network_class.output_size
    result = tuple(rule(side) for side in size)
    if None in result:
        nearest = [_nearest_valid(rule, side) for side in size]
        raise UNetError(f"{model_name} cannot take an image of {size[0]}x{size[1]} (height x width); the nearest sizes "
                        f"it can take are {' and '.join(f'{h}x{w}' for h, w in sorted(set(zip(*nearest))))}")
    return result


def largest_size(model_name: str, size: tuple[int, int]) -> tuple[int, int]:
    """Return the largest (height, width) within ``size`` that the network can take.

    Raises:
        UNetError: ``size`` is smaller than the smallest that it can take.
    """
    rule = entry(model_name).network_class.output_size
    height, width = (_nearest_valid(rule, side)[0] for side in size)
    if height > size[0] or width > size[1]:
        output_size(model_name, size)       # raises
    return height, width


def input_size(model_name: str, label_size: tuple[int, int]) -> tuple[int, int]:
    """Return the smallest (height, width) that the network can take and makes logits of, at least of ``label_size``."""
    rule = entry(model_name).network_class.output_size
    height, width = (next(side for side in count(least) if (rule(side) or 0) >= least) for least in label_size)
    return height, width


def check_sizes(model_name: str, image_size: tuple[int, int], label_size: tuple[int, int],
                image_option: list[int]) -> None:
    """Check that the sizes (height, width) of images and labels fit the network.

    Args:
        model_name: the network.
        image_size: of its input.
        label_size: of the labels.
        image_option: the option ``image_size``, whose order of height and width the message uses.

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
    """Return the network's receptive field, for prediction in windows."""
    size = smallest_size(spec.model_name)
    margin_lost = (size - output_size(spec.model_name, (size, size))[0]) // 2
    return valid_field(margin_lost) if margin_lost else same_field(entry(spec.model_name).upsampling(spec))


def window_size(spec: NetworkSpec, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the (height, width) that all windows of a network of valid convolutions must have.

    Args:
        spec: the network.
        size: (height, width) of the windows that the options ask for.

    Returns:
        None for a network of same convolutions, which takes windows of many sizes.

    Raises:
        UNetError: the network cannot take windows of this size.
    """
    if not receptive_field(spec).margin_lost:
        return None
    output_size(spec.model_name, size)
    return size


def bytes_per_pixel(spec: NetworkSpec) -> int:
    """Return the memory that the network needs for a pixel of its input in inference, about."""
    # The logits, in both layouts, and the probabilities.
    return 4 * max(entry(spec.model_name).most_channels(spec), 3 * output_channels(spec))


def smallest_size(model_name: str) -> int:
    """Return the smallest height (or width) that the network can take."""
    return _nearest_valid(entry(model_name).network_class.output_size, 1)[1]


def _nearest_valid(rule, size):
    """Return the nearest valid sizes <= ``size`` and >= ``size``; the second one twice if there is no first one."""
    above = next(side for side in range(max(size, 1), size + 10**4) if rule(side))
    below = next((side for side in range(size, 0, -1) if rule(side)), above)
    return below, above
