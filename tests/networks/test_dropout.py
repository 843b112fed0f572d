"""Dropout: which values it drops, and what that depends on."""
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.networks.dropout import Dropout, DropoutKeys
from src.networks.layers import MINDSPORE
from tests.support.networks import backend_of, network_of


def kept_values(count, key):
    """The rule in NumPy's arithmetic of unsigned numbers."""
    bits = np.arange(count, dtype=np.uint32) ^ np.uint32(key[0])
    bits ^= bits >> np.uint32(16)
    bits = bits * np.uint32(0x7FEB352D) + np.uint32(key[1])
    bits ^= bits >> np.uint32(15)
    bits *= np.uint32(0x846CA68B)
    bits ^= bits >> np.uint32(16)
    return bits < 2 ** 31


class TwoLayers(nn.Cell):
    def __init__(self):
        super().__init__()
        self.first, self.second = Dropout("first"), Dropout("second")

    def construct(self, x):
        return self.first(x), self.second(x)


@pytest.fixture(params=[pytest.param(ms.PYNATIVE_MODE, id="pynative"),
                        pytest.param(ms.GRAPH_MODE, id="graph", marks=pytest.mark.slow)])
def mode(request):
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


def masks(network, shape=(2, 3, 32, 32)):
    """What both layers multiply by."""
    return [result.asnumpy() for result in network(ops.ones(shape, ms.float32))]


def test_half_of_the_values_are_dropped_by_the_key(mode):
    network = TwoLayers().set_train()
    keys = DropoutKeys(network, seed=1)
    for step in (0, 7):
        keys.begin_step(step)
        for layer, mask in zip(keys.layers, masks(network)):
            expected = 2.0 * kept_values(6144, layer.key.asnumpy().astype(np.uint32))
            np.testing.assert_array_equal(mask.ravel(), expected)
            assert abs(mask.mean() - 1) < 0.06


@pytest.mark.slow
def test_the_mask_depends_on_seed_step_rank_part_and_layer_alone():
    """Any two of them agree in about half of the values; the same numbers give the same mask, whatever came before."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    network, found = TwoLayers().set_train(), []
    for seed, step, rank, part in ((1, 5, 0, 0), (2, 5, 0, 0), (1, 6, 0, 0), (1, 5, 1, 0), (1, 5, 0, 1)):
        keys = DropoutKeys(network, seed, rank)
        keys.begin_step(step)
        keys.begin_part(part)
        found += masks(network)
    ms.set_context(mode=ms.GRAPH_MODE)
    for number, one in enumerate(found):
        assert all(0.46 < (one == other).mean() < 0.54 for other in found[:number])
    keys = DropoutKeys(network, 1)
    keys.begin_step(5)
    np.testing.assert_array_equal(masks(network)[1], found[1])


def test_neighbours_are_dropped_independently():
    kept = kept_values(10**6, (123456789, 987654321)).astype(float)
    for distance in (1, 2, 3, 16, 1024):
        assert abs(np.corrcoef(kept[:-distance], kept[distance:])[0, 1]) < 0.004


def test_gradients_go_through_what_is_kept(mode):
    layer = Dropout("layer").set_train()
    gradient = ops.GradOperation()(layer)(ops.ones((4, 5), ms.float32)).asnumpy()
    np.testing.assert_array_equal(gradient.ravel(), 2.0 * kept_values(20, (0, 0)))


def test_evaluation_drops_nothing_and_checkpoints_hold_no_key():
    network = network_of(["--model_name=unet_keras"]).set_train(False)
    assert len(DropoutKeys(network, 1).layers) == 2
    assert not [parameter.name for parameter in network.get_parameters() if "drop" in parameter.name]
    x = Tensor(np.arange(6, dtype=np.float32))
    np.testing.assert_array_equal(Dropout("layer").set_train(False)(x).asnumpy(), x.asnumpy())


@pytest.mark.slow
def test_each_layer_set_drops_the_same_values(narrow_networks):
    layers = backend_of()
    if layers is MINDSPORE:
        pytest.skip("the CPU operators cannot be compiled here")
    argv = ["--model_name=unet_keras", "--weight_init=he_normal"]
    networks = [network_of(argv, each) for each in (MINDSPORE, layers)]
    ms.load_param_into_net(networks[1], networks[0].parameters_dict())
    image, results = Tensor(np.random.default_rng(0).normal(size=(2, 1, 32, 48)).astype(np.float32)), []
    for network in networks:
        DropoutKeys(network, seed=3).begin_step(11)
        results.append(network.set_train()(image).asnumpy())
    np.testing.assert_allclose(results[1], results[0], atol=1e-4 * np.abs(results[0]).max())
