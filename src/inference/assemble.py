"""A network ready for use: built on the chosen backend, with the weights of a checkpoint."""
from typing import Any

from src.cpu_ops import choose_backend
from src.model_utils.config import Config
from src.networks.registry import NetworkSpec, build_network
from src.training.checkpoint import CheckpointContents


def assemble_network(config: Config, device: str, checkpoint: CheckpointContents | None = None) -> Any:
    """Build the network that the options name, in float32.

    Args:
        config (Config): the network's options (see ``NetworkSpec``) and the backend's (see ``choose_backend``).
        device: Ascend, GPU or CPU.
        checkpoint: has the weights; without it they are fresh.

    Returns:
        nn.Cell: see ``build_network``.

    Raises:
        UNetError: options that do not fit together, or a checkpoint of another network.
    """
    network = build_network(NetworkSpec.from_config(config), choose_backend(config, device))
    if checkpoint is not None:
        checkpoint.load_into(network)
    return network
