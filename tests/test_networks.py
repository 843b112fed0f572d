"""Networks: names, shapes and counts of the published checkpoints, sizes, both execution modes, both layer sets."""
import json

import mindspore as ms
import numpy as np
import pytest
from conftest import PROJECT
from mindspore import Tensor

from src.cpu_ops import choose_layers
from src.layers import STOCK
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.networks import NETWORKS, build_network, output_size
from src.unet_medical import UNetMedical
from src.unet_nested import NestedUNet, UNet

PINNED = json.loads((PROJECT / "tests" / "fixtures" / "parameter_names.json").read_text())

# Published checkpoint -> the options that build its network, and the number of its values.
PUBLISHED = {
    "unet_medical": (["--model_name=unet_medical"], 31_029_698),
    "unet_simple": (["--model_name=unet_simple"], 7_764_064),
    "unet_nested_bn_ds": (["--model_name=unet_nested", "--num_channels=3"], 9_045_856),
    "unet_nested_cell": (["--model_name=unet_nested", "--num_channels=3", "--use_bn=False", "--use_ds=False"],
                         9_037_920),
    "unet_nested_resize": (["--model_name=unet_nested", "--num_channels=3", "--use_deconv=False"], 8_357_728),
}


def build(argv, layers=STOCK):
    return build_network(parse_options(argv, ""), layers)


@pytest.fixture(params=["stock", "compiled"])
def layers(request):
    if request.param == "stock":
        return STOCK
    chosen = choose_layers("auto", "CPU", "graph")
    if chosen is STOCK:
        pytest.skip("the CPU operators cannot be compiled here")
    return chosen


@pytest.fixture
def mode(request):
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


both_modes = pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE], indirect=True,
                                     ids=["graph", "pynative"])


def test_every_network_is_pinned():
    pinned = {parse_options(argv, "").model_name for argv, _ in PUBLISHED.values()}
    assert pinned == set(NETWORKS)
    assert set(PUBLISHED) == set(PINNED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_shapes_and_counts(name, layers):
    argv, count = PUBLISHED[name]
    parameters = {parameter.name: list(parameter.shape) for parameter in build(argv, layers).get_parameters()}
    assert parameters == PINNED[name]
    assert sum(int(np.prod(shape)) for shape in parameters.values()) == count


@both_modes
@pytest.mark.parametrize("network, shape, expected", [
    (lambda: UNetMedical(1, 2), (1, 1, 188, 204), (1, 2, 4, 20)),
    (lambda: UNet(1, 2, feature_scale=16), (2, 1, 32, 48), (2, 2, 32, 48)),
    (lambda: UNet(3, 5, feature_scale=16, use_deconv=False, use_bn=False), (1, 3, 32, 32), (1, 5, 32, 32)),
    (lambda: NestedUNet(3, 2, feature_scale=16), (2, 3, 32, 48), (2, 2, 32, 48)),
    (lambda: NestedUNet(1, 4, feature_scale=16, use_deconv=False), (1, 1, 16, 32), (1, 4, 16, 32)),
], ids=["medical", "simple", "simple-resize", "nested", "nested-resize"])
def test_output_shapes(mode, network, shape, expected):
    net = network()
    net.set_train(False)
    logits = net(Tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32)))
    assert logits.shape == expected and np.isfinite(logits.asnumpy()).all()
    assert expected[2:] == tuple(net.output_size(side) for side in shape[2:])


@both_modes
def test_deep_supervision(mode):
    """Four heads in training; in evaluation the last of them."""
    net = NestedUNet(3, 2, feature_scale=16, use_bn=False, use_ds=True)
    for parameter in net.trainable_params():
        parameter.set_data(parameter * 20)      # or the logits would be too small to tell apart
    image = Tensor(np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32))
    net.set_train(True)
    heads = net(image).asnumpy()
    assert heads.shape == (4, 2, 2, 32, 32)
    net.set_train(False)
    np.testing.assert_allclose(net(image).asnumpy(), heads[3], atol=1e-5)
    assert np.abs(heads[0] - heads[3]).max() > 1e-4


def test_modes_agree():
    net = UNet(1, 2, feature_scale=16)
    net.set_train(False)
    image = Tensor(np.random.default_rng(0).normal(size=(1, 1, 32, 32)).astype(np.float32))
    compiled = net(image).asnumpy()
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        np.testing.assert_allclose(net(image).asnumpy(), compiled, atol=1e-5)
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)


def test_skips_are_cut_out_of_the_centre():
    """A picture that is symmetric gives symmetric logits when every kernel is; an off-centre crop would not."""
    net = UNetMedical(1, 2)
    for parameter in net.trainable_params():
        if parameter.ndim == 4:
            values = parameter.asnumpy()
            parameter.set_data(Tensor((values + values[:, :, ::-1]) / 2))
    half = np.random.default_rng(0).normal(size=(1, 1, 102, 204)).astype(np.float32)
    image = np.concatenate([half, half[:, :, ::-1]], axis=2)
    logits = net(Tensor(image)).asnumpy()
    np.testing.assert_allclose(logits, logits[:, :, ::-1], atol=1e-5 * np.abs(logits).max())


def test_initial_weights_of_the_medical_network():
    for parameter in build(["--model_name=unet_medical"]).trainable_params():
        values = parameter.asnumpy()
        if parameter.ndim == 4:
            assert values.std() == pytest.approx(0.06, rel=0.15 if values.size < 2000 else 0.03), parameter.name
        else:
            assert not values.any(), parameter.name


@pytest.mark.parametrize("init, std", [("default", 0.01), ("he_normal", (2 / 288) ** 0.5),
                                       ("he_uniform", (2 / 288) ** 0.5)])
def test_weight_init(init, std):
    parameter = build([f"--weight_init={init}"]).conv0.convs[1][0].weight    # 32 channels of 3x3
    assert parameter.asnumpy().std() == pytest.approx(std, rel=0.05)


@pytest.mark.parametrize("size, expected", [(572, 388), (188, 4), (204, 20), (1052, 868), (187, None), (186, None),
                                            (172, None), (16, None), (0, None)])
def test_sizes_of_valid_convolutions(size, expected):
    assert UNetMedical.output_size(size) == expected


@pytest.mark.parametrize("model, size, words", [
    ("unet_medical", (570, 572), "556x572 and 572x572"), ("unet_medical", (10, 10), "188x188"),
    ("unet_simple", (100, 96), "96x96 and 112x96"), ("unet_nested", (572, 572), "560x560 and 576x576"),
    ("unet_simple", (3, 16), "16x16")])
def test_sizes_that_cannot_be(model, size, words):
    with pytest.raises(UNetError, match=f"{model} cannot take an image of {size[0]}x{size[1]}.*{words}"):
        output_size(model, size)


def test_unknown_network():
    with pytest.raises(UNetError, match="known networks are unet_medical, unet_simple, unet_nested"):
        output_size("resnet", (16, 16))
