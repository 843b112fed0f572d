"""Entry point of MindSpore Hub: networks by name."""
from functools import partial
from pathlib import Path
from typing import Any

# Further names of networks in the hub, beside the values of the option model_name.
ALIASES = {"unet2d": "unet_medical", "unetplusplus": "unet_nested"}

# The arguments of the model zoo's networks, and the options that they stand for.
ARGUMENTS = {"n_channels": "num_channels", "in_channel": "num_channels",
             "n_classes": "num_classes", "n_class": "num_classes"}
POSITIONAL = ("num_channels", "num_classes")


def create_network(name: str, *args: Any, checkpoint_file_path: str | Path = "", **kwargs: Any) -> Any:
    """Build a network, with fresh weights or with those of a checkpoint.

    Args:
        name: a value of the option model_name (unet_simple, unet_medical, ...), or a key of ``ALIASES``.
        args: num_channels and num_classes.
        checkpoint_file_path: checkpoint to load the weights from; none if empty.
        kwargs: the network's options as in configs/default_config.yaml (num_channels, num_classes, weight_init; for
            unet_simple and unet_nested also feature_scale; for unet_nested also use_deconv, use_bn, use_ds), or the
            model zoo's names for them: n_channels, n_classes, in_channel, n_class. The defaults are those of
            configs/default_config.yaml.

    Returns:
        nn.Cell: (N, num_channels, H, W) float32 -> logits (N, num_classes, h, w) float32; (N, 1, h, w) for networks
            of one output channel. Its function ``prepare`` makes such an input from an image file or array, normalized
            and resized as the checkpoint was trained (see ``src.data.input_options.network_input``).

    Raises:
        UNetError: unknown name, unknown or wrong option, or a checkpoint that is missing, damaged or of another
            network.
    """
    # MindSpore is loaded here, not when this file is imported.
    from src.data.input_options import follow, geometry_of, input_options, network_input
    from src.model_utils.config import parse_options
    from src.model_utils.errors import UNetError
    from src.model_utils.runtime import cap_cpu_instruction_set
    from src.networks.registry import NetworkSpec, build_network, names
    from src.training.checkpoint import CheckpointContents

    model_name = ALIASES.get(name, name)
    if model_name not in names():
        raise UNetError(f"network {name!r}: known networks are {', '.join([*ALIASES, *names()])}")
    cap_cpu_instruction_set()       # these networks run on MindSpore's own kernels
    config = parse_options([], "").replace(model_name=model_name)
    config = config.replace(**_options(name, model_name, args, kwargs))
    network = build_network(NetworkSpec.from_config(config))
    stored = {}
    if checkpoint_file_path:
        contents = CheckpointContents(checkpoint_file_path)
        contents.load_into(network)
        stored = input_options(contents.state, checkpoint_file_path)
        config = follow(config, stored, checkpoint_file_path)
    network.prepare = partial(network_input, config=config, geometry=geometry_of(config, stored))
    return network


def _options(name: str, model_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the given arguments under the options' names."""
    from src.model_utils.errors import UNetError
    from src.networks.registry import entry

    known = [*entry(model_name).arguments.values(), "weight_init"]
    if len(args) > len(POSITIONAL):
        raise UNetError(f"{name}: {len(args)} positional arguments found, expected at most {', '.join(POSITIONAL)}")
    options = {}
    for given, value in [*zip(POSITIONAL, args), *kwargs.items()]:
        option = ARGUMENTS.get(given, given)
        if option not in known:
            raise UNetError(f"{name}: unknown argument {given!r}; known are {', '.join(known)}, "
                            f"checkpoint_file_path, and {', '.join(ARGUMENTS)}")
        if option in options:
            raise UNetError(f"{name}: {option} is given twice, the second time as {given}")
        options[option] = value
    return options
