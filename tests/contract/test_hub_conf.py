"""The entry point of MindSpore Hub."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindspore_hub_conf import ALIASES, create_network
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.networks.registry import NetworkSpec, build_network, entry, names
from src.networks.unet_bilinear import UNetBilinear
from src.networks.unet_keras import UNetKeras
from src.networks.unet_medical import UNetMedical
from src.networks.unet_nested import NestedUNet
from src.networks.unet_simple import UNet
from tests.support.scripts import run_code


def shapes(network):
    return {parameter.name: parameter.shape for parameter in network.get_parameters()}


@pytest.mark.parametrize("name, network_class, options", [
    pytest.param("unet2d", UNetMedical, {"n_channels": 1, "n_classes": 5}, marks=pytest.mark.slow),
    pytest.param("unet_medical", UNetMedical, {"num_channels": 3}, marks=pytest.mark.slow),
    ("unet_simple", UNet, {"in_channel": 3, "n_class": 4, "weight_init": "he_normal"}),
    ("unet_nested", NestedUNet, {"num_classes": 3, "use_deconv": False, "use_bn": False, "use_ds": False}),
    ("unetplusplus", NestedUNet, {}),
    ("unet_bilinear", UNetBilinear, {"in_channel": 3}),
    ("unet_keras", UNetKeras, {"n_channels": 1, "weight_init": "he_uniform"}),
])
def test_names(name, network_class, options):
    """The network is the one that the options of train.py give."""
    network = create_network(name, **options)
    assert type(network) is network_class
    words = {"n_channels": "num_channels", "in_channel": "num_channels", "n_classes": "num_classes",
             "n_class": "num_classes"}
    argv = [f"--{words.get(key, key)}={value}" for key, value in options.items()]
    model_name = next(key for key in names() if entry(key).network_class is network_class)
    config = parse_options([f"--model_name={model_name}", *argv], "")
    assert shapes(network) == shapes(build_network(NetworkSpec.from_config(config)))


@pytest.mark.slow
def test_every_network_has_a_name():
    assert set(ALIASES.values()) <= set(names())
    assert {type(create_network(name)) for name in names()} == {entry(name).network_class for name in names()}


def test_positional_channels_and_classes():
    assert shapes(create_network("unet_simple", 3, 7)) == shapes(create_network("unet_simple", in_channel=3, n_class=7))


@pytest.mark.slow
def test_checkpoint(tmp_path):
    first = create_network("unet_simple", weight_init="he_uniform")
    path = tmp_path / "x.ckpt"
    ms.save_checkpoint(first, str(path))
    second = create_network("unet_simple", checkpoint_file_path=path)
    image = Tensor(np.random.default_rng(0).normal(size=(1, 1, 16, 16)).astype(np.float32))
    np.testing.assert_array_equal(first(image).asnumpy(), second(image).asnumpy())
    with pytest.raises(UNetError, match="another network"):
        create_network("unet_simple", num_classes=3, checkpoint_file_path=path)


@pytest.mark.parametrize("args, options, parts", [
    (["resnet"], {}, ["'resnet'", f"known networks are unet2d, unetplusplus, {', '.join(names())}"]),
    ([None], {}, ["None", "unet2d"]),
    (["unet_simple"], {"classes": 2},
     ["'classes'", "num_channels, num_classes, feature_scale, weight_init", "n_class"]),
    (["unet_nested"], {"lr": 0.1}, ["'lr'", "use_deconv, use_bn, use_ds, weight_init"]),
    (["unet_medical"], {"use_bn": False}, ["'use_bn'"]),
    (["unet_keras", 1, 2], {}, ["'num_classes'", "num_channels, weight_init"]),
    (["unet2d"], {"num_channels": 0}, ["num_channels", "at least 1"]),
    (["unet2d"], {"n_classes": 1}, ["num_classes", "at least 2"]),
    (["unet2d"], {"n_classes": "two"}, ["num_classes", "a whole number"]),
    (["unet2d"], {"n_classes": 2, "num_classes": 3}, ["num_classes is given twice"]),
    (["unet2d", 1, 2], {"n_class": 2}, ["num_classes is given twice"]),
    (["unet2d", 1, 2, 3], {}, ["3 positional arguments", "num_channels, num_classes"]),
    (["unet2d"], {"checkpoint_file_path": "/none.ckpt"}, ["no such checkpoint: /none.ckpt"]),
])
def test_wrong_calls(args, options, parts):
    with pytest.raises(UNetError) as refused:
        create_network(*args, **options)
    message = str(refused.value)
    assert "\n" not in message and all(part in message for part in parts), message


def test_nothing_happens_at_import():
    code = "import sys, mindspore_hub_conf; print([name for name in sys.modules if name.split('.')[0] in " \
           "('mindspore', 'numpy', 'src')])"
    assert run_code(code) == "[]\n"
