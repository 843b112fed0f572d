"""Checkpoints whose parameters have other names: those of wrapped networks, of PyTorch, and of the CPU case study."""
import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from src.model_utils.errors import UNetError
from src.networks.inference_network import UnetEval
from src.networks.unet_bilinear import UNetBilinear
from src.networks.unet_nested import NestedUNet
from src.networks.unet_simple import UNet
from src.training import checkpoint
from src.training.checkpoint_contents import CheckpointContents
from src.training.parameter_names import BATCH_NORM, renamed, spellings
from tests.support.checkpoints import case_study
from tests.support.data import FIXTURES

OWN = ["conv.0.weight", "conv.1.gamma", "conv.1.moving_mean", "final.weight", "final.bias"]


@pytest.mark.parametrize("prefix", ["", "net.", "network.", "module.", "network._backbone.", "a.b.c."])
def test_prefixes(prefix):
    there = {f"{prefix}{name}": name for name in OWN}
    assert renamed(there, spellings(OWN)) == dict(zip(OWN, OWN))


def test_names_of_pytorch():
    there = ["conv.0.weight", "conv.1.weight", "conv.1.running_mean", "final.weight", "final.bias"]
    assert list(renamed(dict.fromkeys(there), spellings(OWN))) == OWN


def test_what_is_not_known_keeps_its_name():
    """One prefix for all: a part of another network that has the same names inside is another network's."""
    there = {"net.conv.0.weight": 1, "net.conv.1.gamma": 2, "other.final.weight": 3, "net.conv.2.weight": 4}
    assert renamed(there, spellings(OWN)) == {
        "conv.0.weight": 1, "conv.1.gamma": 2, "other.final.weight": 3, "net.conv.2.weight": 4}
    assert renamed({"x": 1}, spellings(OWN)) == {"x": 1} and renamed({}, spellings(OWN)) == {}


def test_a_parameter_that_is_there_twice():
    there = {"net.conv.0.weight": 1, "net.final.weight": 2, "net.final.bias": 3, "final.bias": 4}
    assert renamed(there, spellings(OWN)) == {
        "conv.0.weight": 1, "final.weight": 2, "net.final.bias": 3, "final.bias": 4}
    both = {"conv.1.gamma": 1, "conv.1.weight": 2}
    assert renamed(both, spellings(OWN)) == both


# ---- files


def small(seed):
    """unet_nested without batch norm, with a step of Adam; all values are random."""
    net = NestedUNet(1, 2, feature_scale=16, use_bn=False)
    step = nn.TrainOneStepCell(net, nn.Adam(net.trainable_params(), weight_decay=0.0005))
    rng = np.random.default_rng(seed)
    for parameter in step.get_parameters():
        if parameter.ndim:
            parameter.set_data(Tensor(rng.normal(size=parameter.shape).astype(np.float32), parameter.dtype))
    return net, step


def write(path, values, rename):
    ms.save_checkpoint([{"name": rename(name), "data": Parameter(value)} for name, value in values.items()], str(path))
    return path


def values(cell):
    return {parameter.name: parameter.asnumpy().copy() for parameter in cell.get_parameters()}


def same(found, expected):
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def prefixed(weights, before, after):
    """The rename that puts a prefix before the weights, one before the names of the moments, and one inside them."""
    def rename(name):
        moment, _, rest = name.partition(".")
        if moment in ("moment1", "moment2"):
            return f"{before}{moment}.{after}{rest}"
        return f"{before}{name}" if name in checkpoint_values else f"{weights}{name}"
    checkpoint_values = {"global_step", "beta1_power", "beta2_power", "learning_rate"}
    return rename


@pytest.mark.parametrize("weights, before, after", [
    ("net.", "", ""),                       # run_eval: True in the model zoo
    ("net.", "", "net."), ("", "", ""), ("", "", "net."), ("network.", "optimizer.", ""),
    ("network.", "optimizer.", "network."), ("network.net.", "", "net.")])
def test_a_wrapped_network_is_evaluated_resumed_and_transferred(tmp_path, weights, before, after):
    _, step = small(1)
    there = values(step)
    path = write(tmp_path / "zoo.ckpt", there, prefixed(weights, before, after))
    own = {name: value for name, value in there.items() if name.startswith(("conv", "up_", "final"))}

    net, _ = small(2)
    checkpoint.load_weights(net, path)
    same(values(net), own)
    net, step = small(2)
    state = checkpoint.resume(step, net, path)
    assert state == {"step": 0}
    same(values(step), {name: value for name, value in there.items() if name not in ("global_step", "learning_rate")})
    net, _ = small(2)
    checkpoint.transfer(net, path, ["final"])
    same(values(net), {name: value for name, value in own.items() if not name.startswith("final")})
    assert (values(net)["final1.weight"] != own["final1.weight"]).any()


def test_a_part_of_the_moments_is_still_damage(tmp_path):
    net, step = small(1)
    there = values(step)
    del there["moment2.final1.weight"]
    path = write(tmp_path / "zoo.ckpt", there, prefixed("net.", "", ""))
    with pytest.raises(UNetError, match="of Adam's moments, 1 are missing .moment2.final1.weight"):
        checkpoint.resume(step, net, path)


def test_the_model_zoo_with_run_eval(tmp_path):
    """As it happens there: evaluation wraps the network, with a prefix, once Adam has been made."""
    class Wrapper(nn.Cell):
        def __init__(self, net):
            super().__init__()
            self.net = net

    net, step = small(1)
    expected = values(net)
    Wrapper(net)
    ms.save_checkpoint(step, str(tmp_path / "zoo.ckpt"))
    names = set(ms.load_checkpoint(str(tmp_path / "zoo.ckpt")))
    assert {"net.conv00.convs.0.0.weight", "moment1.conv00.convs.0.0.weight"} <= names
    other, step = small(2)
    UnetEval(other)     # ours has no prefix
    checkpoint.resume(step, other, tmp_path / "zoo.ckpt")
    same(values(other), expected)


# ---- the CPU case study

def pytorch(name):
    cell, _, kind = name.rpartition(".")
    return f"{cell}.{BATCH_NORM.get(kind, kind)}"


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr("src.networks.unet_bilinear.CHANNELS", (2, 4, 6, 8, 10))


def bilinear(seed):
    net = UNetBilinear(3)
    rng = np.random.default_rng(seed)
    for parameter in net.get_parameters():
        parameter.set_data(Tensor(rng.normal(size=parameter.shape).astype(np.float32)))
    return net


def test_names_of_the_case_study():
    """The first and the last of each level; the parameters are as many as there."""
    shapes = json.loads((FIXTURES / "parameter_names.json").read_text())["unet_bilinear"]
    known = spellings(shapes, UNetBilinear.cells_elsewhere)
    there = {name: known[name] for name in map(case_study, shapes)}
    assert list(there.values()) == list(shapes)
    for name, shape in (("double_conv1.double_conv.0.weight", [64, 3, 3, 3]),
                        ("double_conv5.double_conv.4.gamma", [1024]),
                        ("double_conv6.double_conv.0.weight", [512, 1536, 3, 3]), ("final.weight", [1, 64, 1, 1]),
                        ("double_conv9.double_conv.4.moving_variance", [64])):
        assert shapes[there[name]] == shape
    assert sum(np.prod(shape) for name, shape in shapes.items() if "moving" not in name) == 31_384_832


@pytest.mark.parametrize("rename", [
    case_study, lambda name: case_study(name, ""), lambda name: pytorch(case_study(name)),
    lambda name: f"net.{case_study(name)}"], ids=["class", "function", "pytorch", "wrapped"])
def test_checkpoints_of_the_case_study(narrow, tmp_path, caplog, rename):
    caplog.set_level("INFO", "unet")
    expected = values(bilinear(1))
    path = write(tmp_path / "best_UNet.ckpt", expected, rename)
    net = bilinear(2)
    checkpoint.load_weights(net, path)
    same(values(net), expected)
    told, = (line for line in caplog.messages if "case study" in line)
    assert told.startswith(f"{path}: a checkpoint of MindSpore's CPU case study") and "--input_range=[0,1]" in told
    net = bilinear(2)
    checkpoint.transfer(net, path, [])
    same(values(net), expected)


@pytest.mark.slow
def test_the_skip_comes_first_as_in_the_case_study(narrow):
    """Its channels are the first of a decoder block: without the weights of the others, deeper levels are unused."""
    net = bilinear(1).set_train(False)
    for block, skip in (("up3", 8), ("up2", 6), ("up1", 4), ("up0", 2)):
        weight = net.parameters_dict()[f"{block}.convs.0.weight"]
        value = weight.asnumpy().copy()
        value[:, skip:] = 0
        weight.set_data(Tensor(value))
    image = Tensor(np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32))
    before = net(image).asnumpy()
    for name, parameter in net.parameters_dict().items():
        if name.startswith(("down1", "down2", "down3", "down4", "up1", "up2", "up3")):
            parameter.set_data(parameter + 1)
    np.testing.assert_array_equal(net(image).asnumpy(), before)


def test_a_checkpoint_of_version_1_0(narrow, tmp_path):
    """There the upsampled channels came first. A state without the name of a run tells."""
    net = bilinear(1)
    expected = values(net)
    for block, skip in (("up3", 8), ("up2", 6), ("up1", 4), ("up0", 2)):
        weight = net.parameters_dict()[f"{block}.convs.0.weight"]
        weight.set_data(Tensor(np.concatenate([weight.asnumpy()[:, skip:], weight.asnumpy()[:, :skip]], axis=1)))
    other = bilinear(2)
    state = {"step": 1, "model_name": "unet_bilinear"}
    checkpoint.load_weights(other, checkpoint.save(net, tmp_path / "x.ckpt", state))
    same(values(other), expected)
    checkpoint.load_weights(other, checkpoint.save(net, tmp_path / "x.ckpt", {**state, "run": "x"}))
    same(values(other), values(net))


def test_what_does_not_fit_is_refused_in_one_line(narrow, tmp_path):
    there = values(bilinear(1))
    path = write(tmp_path / "best_UNet.ckpt", there, case_study)
    with pytest.raises(UNetError) as caught:
        checkpoint.load_weights(UNet(3, 2, feature_scale=16), path)
    assert "a checkpoint of another network" in str(caught.value) and "\n" not in str(caught.value)
    there["final.weight"] = there["final.weight"].repeat(2, axis=0)
    path = write(tmp_path / "two.ckpt", there, case_study)
    with pytest.raises(UNetError, match=r"1 of another shape .final.weight is \(2, 2, 1, 1\) there, \(1, 2, 1, 1\)"):
        checkpoint.load_weights(bilinear(2), path)
    with pytest.raises(UNetError, match=r"1 missing in the file \(up0.convs.4.beta\)"):
        del there["up0.convs.4.beta"]
        checkpoint.load_weights(bilinear(2), write(tmp_path / "less.ckpt", there, case_study))
    assert CheckpointContents(path).state is None
