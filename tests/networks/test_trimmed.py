"""Trimmed networks: of a window they give the same as the network, without what the core does not need."""
import numpy as np
import pytest

from src.cpu_ops import choose_backend
from src.model_utils.config import parse_options
from src.networks.inference_network import predictor
from src.networks.registry import NetworkSpec, build_network, probabilities, receptive_field

pytestmark = pytest.mark.slow

NETWORKS = {
    "simple": ["--model_name=unet_simple"],
    "nested": ["--model_name=unet_nested", "--num_classes=3"],
    "nested-bilinear": ["--model_name=unet_nested", "--use_deconv=False"],
    "bilinear": ["--model_name=unet_bilinear", "--num_channels=1"],
    "keras": ["--model_name=unet_keras"],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_core_is_the_same(name, narrow_networks):
    config = parse_options([*NETWORKS[name], "--weight_init=he_uniform", "--device_target=CPU"], "")
    spec = NetworkSpec.from_config(config)
    layers, field = choose_backend(config, "CPU"), receptive_field(spec)
    whole, trimmed = build_network(spec, layers), build_network(spec, layers.for_windows())
    for own, other in zip(whole.get_parameters(), trimmed.get_parameters()):
        assert own.name == other.name
        other.set_data(own.value())
    sides = 2 * field.context + 32, 2 * field.context + 64
    window = np.random.default_rng(0).uniform(-1, 1, (1, 1, *sides)).astype(np.float32)
    expected, found = (predictor(network, probabilities(spec))(window) for network in (whole, trimmed))
    lost, first = (sides[0] - found.shape[1]) // 2, field.context
    assert found.shape[1:3] == (sides[0] - 2 * lost, sides[1] - 2 * lost)
    assert 94 <= lost <= first      # the core is there, and hardly more
    core = found[:, first - lost:lost - first or None, first - lost:lost - first or None]
    np.testing.assert_allclose(core, expected[:, first:-first, first:-first], atol=1e-5)
