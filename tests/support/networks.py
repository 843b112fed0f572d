"""Networks and backends from command-line options."""
from src.cpu_ops import choose_backend
from src.model_utils.config import parse_options
from src.networks.registry import NetworkSpec, build_network


def spec_of(argv):
    """The NetworkSpec of these options."""
    return NetworkSpec.from_config(parse_options(argv, ""))


def network_of(argv, layers=None):
    """The network of these options, with fresh weights."""
    return build_network(spec_of(argv), layers)


def backend_of(*argv, device="CPU", amp_level="O0"):
    """The layer set of these options."""
    return choose_backend(parse_options(argv, ""), device, amp_level)
