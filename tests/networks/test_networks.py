"""Networks: names, shapes and counts of the published checkpoints, sizes, both execution modes, both layer sets."""
import json
from dataclasses import dataclass, field

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.model_utils.errors import UNetError
from src.networks.dropout import DropoutKeys
from src.networks.layers import MINDSPORE
from src.networks.registry import names, output_channels, output_size, probabilities, receptive_field
from src.networks.unet_bilinear import UNetBilinear
from src.networks.unet_keras import UNetKeras
from src.networks.unet_medical import UNetMedical
from src.networks.unet_nested import NestedUNet
from src.networks.unet_simple import UNet
from tests.support.data import FIXTURES
from tests.support.networks import backend_of, network_of, spec_of

PARAMETERS = json.loads((FIXTURES / "parameter_names.json").read_text())


@dataclass(frozen=True)
class Pin:
    """What a network of these options must stay.

    Attributes:
        argv: the options.
        values: number of values in a checkpoint.
        trained: number of those that training changes: without the moving means and variances.
        activate: the activation that gives probabilities.
        deviations: the standard deviation of each kind of convolution, by a piece of its name; "" is all others.
        published: there are checkpoints of it; parameter_names.json holds their names under the pin's name.
    """
    argv: list[str]
    values: int
    trained: int
    activate: str = "Softmax"
    deviations: dict = field(default_factory=lambda: {"": 0.01})
    published: bool = True


def _he(shape):
    return (2 / np.prod(shape[1:])) ** 0.5


def _xavier(shape):
    return (2 / (np.prod(shape[1:]) + shape[0] * np.prod(shape[2:]))) ** 0.5


# At least one for each network.
PINS = {
    "unet_medical": Pin(["--model_name=unet_medical"], 31_029_698, 31_029_698,
                        deviations={".up.": 0.01, "": 0.06}),
    "unet_simple": Pin(["--model_name=unet_simple"], 7_764_064, 7_760_096),
    "unet_simple_narrow": Pin(["--model_name=unet_simple", "--feature_scale=4"], 1_943_088, 1_941_104, published=False),
    "unet_nested_bn_ds": Pin(["--model_name=unet_nested", "--num_channels=3"], 9_045_856, 9_041_888),
    "unet_nested_cell": Pin(["--model_name=unet_nested", "--num_channels=3", "--use_bn=False", "--use_ds=False"],
                            9_037_920, 9_037_920),
    "unet_nested_resize": Pin(["--model_name=unet_nested", "--num_channels=3", "--use_deconv=False"], 8_357_728,
                              8_353_760),
    "unet_bilinear": Pin(["--model_name=unet_bilinear", "--num_channels=3"], 31_396_608, 31_384_832, "Sigmoid",
                         {"": _he}),
    "unet_keras": Pin(["--model_name=unet_keras"], 31_031_685, 31_031_685, "Sigmoid", {"final.": _xavier, "": _he}),
}
NARROW = (4, 6, 8, 10, 12)      # channels instead of 64 to 1024, for tests of the geometry


@pytest.fixture(scope="module")
def compiled():
    chosen = backend_of()
    if chosen is MINDSPORE:
        pytest.skip("the CPU operators cannot be compiled here")
    return chosen


@pytest.fixture(params=["stock", pytest.param("compiled", marks=pytest.mark.slow)])
def layers(request):
    return MINDSPORE if request.param == "stock" else request.getfixturevalue("compiled")


@pytest.fixture
def narrow(monkeypatch):
    """unet_bilinear and unet_keras with few channels."""
    for name in ("unet_bilinear", "unet_keras"):
        monkeypatch.setattr(f"src.networks.{name}.CHANNELS", NARROW)


@pytest.fixture
def mode(request):
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


both_modes = pytest.mark.parametrize("mode", [
    pytest.param(ms.GRAPH_MODE, id="graph", marks=pytest.mark.slow), pytest.param(ms.PYNATIVE_MODE, id="pynative")],
    indirect=True)
# Saves the time of compiling where the mode does not matter.
without_compiling = pytest.mark.parametrize("mode", [ms.PYNATIVE_MODE], indirect=True, ids=["pynative"])


def count(parameters):
    return sum(int(np.prod(parameter.shape)) for parameter in parameters)


def test_every_network_is_pinned():
    assert {spec_of(pin.argv).model_name for pin in PINS.values()} == set(names())
    assert set(PARAMETERS) == {name for name, pin in PINS.items() if pin.published}


@pytest.mark.parametrize("name", PINS)
def test_parameters(name, layers):
    """Names, shapes, counts. A layer's deviation is as published, its mean 0, its bias 0; batch norm starts as the
    identity."""
    network = network_of(PINS[name].argv, layers)
    assert (count(network.get_parameters()), count(network.trainable_params())) == (PINS[name].values,
                                                                                    PINS[name].trained)
    if name in PARAMETERS:
        assert {parameter.name: list(parameter.shape) for parameter in network.get_parameters()} == PARAMETERS[name]
    for parameter in network.trainable_params():
        values = parameter.asnumpy()
        if parameter.ndim == 4:
            deviation = next(value for piece, value in PINS[name].deviations.items() if piece in parameter.name)
            deviation = deviation(values.shape) if callable(deviation) else deviation
            error = 6 / values.size ** 0.5      # six standard errors of a mean
            assert values.mean() == pytest.approx(0, abs=error * deviation), parameter.name
            assert values.std() == pytest.approx(deviation, rel=max(error, 0.01)), parameter.name
        else:
            assert (values == (1 if parameter.name.endswith("gamma") else 0)).all(), parameter.name


@both_modes
@pytest.mark.parametrize("network, shape, expected", [
    (lambda: UNetMedical(1, 2), (1, 1, 188, 204), (1, 2, 4, 20)),
    (lambda: UNet(1, 2, feature_scale=16), (2, 1, 32, 48), (2, 2, 32, 48)),
    (lambda: UNet(3, 5, feature_scale=16, use_deconv=False, use_bn=False), (1, 3, 32, 32), (1, 5, 32, 32)),
    (lambda: NestedUNet(3, 2, feature_scale=16), (2, 3, 32, 48), (2, 2, 32, 48)),
    (lambda: NestedUNet(1, 4, feature_scale=16, use_deconv=False), (1, 1, 16, 32), (1, 4, 16, 32)),
    (lambda: UNetBilinear(3), (2, 3, 32, 16), (2, 1, 32, 16)),
    (lambda: UNetKeras(1), (2, 1, 16, 32), (2, 1, 16, 32)),
], ids=["medical", "simple", "simple-resize", "nested", "nested-resize", "bilinear", "keras"])
def test_output_shapes(mode, network, shape, expected):
    net = network()
    net.set_train(False)
    logits = net(Tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32)))
    assert logits.shape == expected and np.isfinite(logits.asnumpy()).all()
    assert expected[2:] == tuple(net.output_size(side) for side in shape[2:])


@pytest.mark.slow
@pytest.mark.parametrize("name, argv", [("unet_bilinear", ["--num_channels=3"]), ("unet_keras", [])])
def test_compiled_layers_give_the_same_logits(name, argv, compiled):
    """Full width, 16x16: one pixel is left at the coarsest level."""
    argv = [f"--model_name={name}", *argv]
    networks = [network_of(argv, layers).set_train(False) for layers in (MINDSPORE, compiled)]
    ms.load_param_into_net(networks[1], networks[0].parameters_dict())
    image = Tensor(np.random.default_rng(0).normal(size=(2, len(argv) * 2 - 1, 16, 16)).astype(np.float32))
    stock, fast = (network(image).asnumpy() for network in networks)
    assert fast.shape == (2, 1, 16, 16) and stock.std() > 1e-3
    np.testing.assert_allclose(fast, stock, atol=1e-4 * np.abs(stock).max())


@without_compiling
@pytest.mark.parametrize("name, context", [("unet_bilinear", 128), ("unet_keras", 112)])
def test_context_of_a_pixel(mode, narrow, name, context):
    """Pixels beyond the context change nothing; those a little nearer do."""
    argv = [f"--model_name={name}", "--weight_init=he_uniform"]
    field = receptive_field(spec_of(argv))
    assert (field.context, field.margin_lost, field.stride) == (context, 0, 16)
    network = network_of(argv).set_train(False)
    for parameter in network.trainable_params():
        if parameter.ndim == 4:
            parameter.set_data(parameter.abs())     # so that no ReLU hides distant pixels
    length, middle = 2 * context + 16, slice(context, context + 16)
    image = np.random.default_rng(0).uniform(0, 1, (1, 1, 16, length)).astype(np.float32)
    logits = network(Tensor(image)).asnumpy()[..., middle]

    def after(change):
        changed = image.copy()
        changed[..., change] += 1
        return network(Tensor(changed)).asnumpy()[..., middle]

    # The zeros beyond the border are part of the image here: a longer image differs only outside.
    longer = np.pad(image, ((0, 0), (0, 0), (0, 0), (16, 16)), mode="reflect")
    np.testing.assert_allclose(network(Tensor(longer)).asnumpy()[..., context + 16:context + 32], logits, rtol=1e-5)
    assert np.abs(after(slice(0, 32)) - logits).max() > 1e-6 * np.abs(logits).max()
    assert np.abs(after(slice(length - 32, length)) - logits).max() > 1e-6 * np.abs(logits).max()


@without_compiling
def test_dropout_of_the_keras_network(mode, narrow):
    """It is applied only in training, at the two deepest levels."""
    network = network_of(["--model_name=unet_keras"])
    image = Tensor(np.random.default_rng(0).normal(size=(1, 1, 16, 16)).astype(np.float32))
    sizes = []
    for layer in DropoutKeys(network, seed=1).layers:
        layer.register_forward_hook(lambda layer, inputs, output: sizes.append(output.shape))
    evaluated, trained = (network.set_train(mode)(image).asnumpy() for mode in (False, True))
    assert np.abs(trained - evaluated).max() > 0
    assert sizes == 2 * [(1, NARROW[3], 2, 2), (1, NARROW[4], 1, 1)]


@pytest.mark.parametrize("name", PINS)
def test_channels_and_activation_of_the_output(name):
    argv = [*PINS[name].argv, "--num_classes=2"]
    has_one = PINS[name].activate == "Sigmoid"
    assert (output_channels(spec_of(argv)), probabilities(spec_of(argv))) == (1 if has_one else 2, PINS[name].activate)
    if has_one:
        with pytest.raises(UNetError, match=f"{name} has one output channel.* num_classes is 3: set it to 2"):
            network_of([*argv, "--num_classes=3"])


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_skips_are_cut_out_of_the_centre():
    """With symmetric kernels a symmetric image gives symmetric logits; an off-centre crop would not."""
    net = UNetMedical(1, 2)
    for parameter in net.trainable_params():
        if parameter.ndim == 4:
            values = parameter.asnumpy()
            parameter.set_data(Tensor((values + values[:, :, ::-1]) / 2))
    half = np.random.default_rng(0).normal(size=(1, 1, 102, 204)).astype(np.float32)
    image = np.concatenate([half, half[:, :, ::-1]], axis=2)
    logits = net(Tensor(image)).asnumpy()
    np.testing.assert_allclose(logits, logits[:, :, ::-1], atol=1e-5 * np.abs(logits).max())


@pytest.mark.parametrize("init, std", [("default", 0.01), ("he_normal", (2 / 288) ** 0.5),
                                       ("he_uniform", (2 / 288) ** 0.5)])
def test_weight_init(init, std):
    parameter = network_of([f"--weight_init={init}"]).conv0.convs[1][0].weight    # 32 channels of 3x3
    assert parameter.asnumpy().std() == pytest.approx(std, rel=0.05)


@pytest.mark.parametrize("size, expected", [(572, 388), (188, 4), (204, 20), (1052, 868), (187, None), (186, None),
                                            (172, None), (16, None), (0, None)])
def test_sizes_of_valid_convolutions(size, expected):
    assert UNetMedical.output_size(size) == expected


@pytest.mark.parametrize("model, size, words", [
    ("unet_medical", (570, 572), "556x572 and 572x572"), ("unet_medical", (10, 10), "188x188"),
    ("unet_simple", (100, 96), "96x96 and 112x96"), ("unet_nested", (572, 572), "560x560 and 576x576"),
    ("unet_simple", (3, 16), "16x16"), ("unet_bilinear", (224, 225), "224x224 and 224x240"),
    ("unet_keras", (8, 256), "16x256")])
def test_sizes_that_cannot_be(model, size, words):
    with pytest.raises(UNetError, match=f"{model} cannot take an image of {size[0]}x{size[1]}.*{words}"):
        output_size(model, size)


def test_unknown_network():
    with pytest.raises(UNetError, match=f"known networks are {', '.join(names())}"):
        output_size("resnet", (16, 16))
