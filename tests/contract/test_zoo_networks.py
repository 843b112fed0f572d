"""Networks that users build from the model zoo's parts, and losses of their own."""
import json

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src import unet_medical, unet_nested
from src.loss import CrossEntropyWithLogits, MultiCrossEntropyWithLogits, MyLoss
from src.networks.unet_nested import NestedUNet
from src.unet_medical.unet_parts import DoubleConv, Down, OutConv, Up1, Up2, Up3, Up4
from src.unet_nested.unet_parts import UnetConv2d, UnetUp, conv_bn_relu
from src.utils import UnetEval
from tests.support.data import FIXTURES

PUBLISHED = json.loads((FIXTURES / "parameter_names.json").read_text())


def shapes(cell):
    return {parameter.name: list(parameter.shape) for parameter in cell.get_parameters()}


def part(network, name):
    """Published names and shapes of a part, without its own name in front."""
    return {key.removeprefix(f"{name}."): shape for key, shape in PUBLISHED[network].items()
            if key.startswith(f"{name}.")}


def image(*shape):
    return Tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("cell, network, name", [
    (lambda: DoubleConv(1, 64), "unet_medical", "inc"),
    (lambda: Down(64, 128), "unet_medical", "down1"),
    (lambda: Up3(256, 128), "unet_medical", "up3"),
    (lambda: Up4(128, 64, bilinear=False), "unet_medical", "up4"),
    (lambda: OutConv(64, 2), "unet_medical", "outc"),
    (lambda: UnetConv2d(3, 32), "unet_nested_bn_ds", "conv00"),
    (lambda: UnetConv2d(3, 32, False), "unet_nested_cell", "conv00"),
    (lambda: UnetUp(64, 32, True), "unet_nested_bn_ds", "up_concat01"),
    (lambda: UnetUp(64, 32, True, 5), "unet_nested_bn_ds", "up_concat04"),
    (lambda: UnetUp(64, 32, False, 3), "unet_nested_resize", "up_concat02"),
    (lambda: UnetUp(128, 64, True, 2), "unet_simple", "up_concat2"),
])
def test_parts_have_the_published_parameters(cell, network, name):
    assert shapes(cell()) == part(network, name) != {}


def test_general_parts():
    """What no network here uses: other numbers of channels, layers, kernels and strides."""
    assert shapes(DoubleConv(3, 8, 5)) == {
        "double_conv.0.weight": [5, 3, 3, 3], "double_conv.0.bias": [5],
        "double_conv.2.weight": [8, 5, 3, 3], "double_conv.2.bias": [8]}
    assert shapes(Up1(16, 4))["conv.double_conv.0.weight"] == [8, 16, 3, 3]        # the middle has half of the input's
    block = UnetConv2d(3, 4, True, num_layer=3, kernel_size=5, stride=2, padding="valid")
    assert [len(cell) for cell in block.convs] == [3, 3, 3]
    assert conv_bn_relu(3, 4, stride=2)(image(1, 3, 8, 8)).shape == (1, 4, 4, 4)
    assert len(conv_bn_relu(3, 4, False, activation=None)) == 1
    with_tanh = conv_bn_relu(3, 4, False, kernel_size=5, pad_mode="valid", activation="tanh")
    assert with_tanh(image(1, 3, 8, 8)).shape == (1, 4, 4, 4) and isinstance(with_tanh[1], nn.Tanh)


@pytest.mark.parametrize("up, side, skip", [(Up1, 4, 10), (Up2, 6, 16), (Up3, 8, 24), (Up4, 5, 18)])
def test_a_skip_of_any_size_is_cut(up, side, skip):
    assert up(8, 4)(image(1, 8, side, side), image(1, 4, skip, skip)).shape == (1, 4, 2 * side - 4, 2 * side - 4)


def test_networks_are_those_of_the_checkpoints():
    assert shapes(unet_nested.UNet(1)) == PUBLISHED["unet_simple"]
    assert shapes(unet_nested.NestedUNet(3)) == PUBLISHED["unet_nested_bn_ds"]
    assert shapes(unet_nested.NestedUNet(3, use_bn=False, use_ds=False)) == PUBLISHED["unet_nested_cell"]


@pytest.mark.slow
def test_the_medical_network_is_that_of_the_checkpoints():
    assert shapes(unet_medical.UNetMedical(n_channels=1, n_classes=2)) == PUBLISHED["unet_medical"]


def test_all_heads_come_in_training_and_in_evaluation():
    network = unet_nested.NestedUNet(1, 3, feature_scale=16)
    x = image(2, 1, 16, 16)
    heads = network.set_train(False)(x)
    assert heads.shape == (4, 2, 3, 16, 16)
    assert network.set_train()(x).shape == (4, 2, 3, 16, 16)
    assert unet_nested.NestedUNet(1, 3, feature_scale=16, use_ds=False)(x).shape == (2, 3, 16, 16)
    assert isinstance(network, NestedUNet)
    # The last one is evaluated.
    expected = ops.softmax(heads[-1], axis=1).asnumpy().transpose(0, 2, 3, 1)
    for need_slice in (True, False):
        np.testing.assert_allclose(UnetEval(network, need_slice).set_train(False)(x).asnumpy(), expected, atol=1e-6)


@pytest.mark.slow
def test_losses():
    logits, label = image(2, 2, 4, 4), Tensor(np.stack([np.ones((2, 4, 4)), np.zeros((2, 4, 4))], 1).astype(np.float32))
    one = CrossEntropyWithLogits()(logits, label)
    zero, first = logits.asnumpy().transpose(1, 0, 2, 3)        # all pixels are of class 0
    np.testing.assert_allclose(one.asnumpy(), np.log1p(np.exp(first - zero)).mean(), rtol=1e-5)
    heads = MultiCrossEntropyWithLogits()
    np.testing.assert_allclose(heads(ops.stack([logits] * 4), label).asnumpy(), 4 * one.asnumpy(), rtol=1e-6)
    # Scripts of the model zoo take this loss wherever the YAML file has use_ds.
    np.testing.assert_allclose(heads(logits, label).asnumpy(), one.asnumpy(), rtol=1e-6)
    assert isinstance(CrossEntropyWithLogits(), MyLoss)


class Absolute(MyLoss):
    def construct(self, base, target):
        return self.get_loss(ops.abs(base - target), 2.0)


@pytest.mark.parametrize("reduction, expected", [("mean", 3), ("sum", 6), ("none", [2, 4]), (None, [2, 4])])
def test_a_loss_of_ones_own(reduction, expected):
    loss = Absolute(reduction)
    assert loss(Tensor([1.0, 2.0]), Tensor([0.0, 0.0])).asnumpy().tolist() == expected
    assert loss.get_axis(Tensor(np.zeros((2, 3, 4)))) == (0, 1, 2)
