"""Checkpoints: whole or not at all, and every parameter accounted for."""
import os
import stat

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from src.model_utils.errors import UNetError
from src.networks.inference_network import UnetEval
from src.networks.unet_nested import NestedUNet
from src.networks.unet_simple import UNet
from src.training import checkpoint, checkpoint_files


def network(seed=0, **options):
    net = UNet(1, 2, feature_scale=16, **options)
    rng = np.random.default_rng(seed)
    for parameter in net.get_parameters():
        parameter.set_data(Tensor(rng.normal(size=parameter.shape).astype(np.float32)))
    return net


def values(net):
    return {parameter.name: parameter.asnumpy().copy() for parameter in net.get_parameters()}


@pytest.fixture
def saved(tmp_path):
    net = network()
    train_network = nn.TrainOneStepCell(net, nn.Adam(net.trainable_params()))
    return net, checkpoint.save(train_network, tmp_path / "a" / "x.ckpt", {"step": 3, "name": "é"})


def test_network_comes_back(saved):
    net, path = saved
    other = network(seed=1)
    checkpoint.load_weights(other, path)
    for name, value in values(net).items():
        np.testing.assert_array_equal(values(other)[name], value)


def test_file(saved):
    """Published names, readable by plain MindSpore, Adam's moments beside them; nothing left over in the folder."""
    net, path = saved
    names = set(ms.load_checkpoint(str(path)))
    assert set(values(net)) <= names
    assert {f"moment{k}.{p.name}" for k in (1, 2) for p in net.trainable_params()} <= names
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(path.parent) == ["x.ckpt"]


def test_state_comes_back(saved):
    net, path = saved
    assert checkpoint.CheckpointContents(path).state == {"step": 3, "name": "é"}
    other = network(seed=1)
    train_network = nn.TrainOneStepCell(other, nn.Adam(other.trainable_params()))
    assert checkpoint.resume(train_network, other, path)["step"] == 3
    np.testing.assert_array_equal(values(other)["final.weight"], values(net)["final.weight"])


def test_plain_mindspore_loads_the_network(saved):
    """Our own text in the file is no parameter, and in nobody's way."""
    net, path = saved
    other = network(seed=1)
    missing, unused = ms.load_param_into_net(other, ms.load_checkpoint(str(path)))
    assert missing == [] and checkpoint.TRAINING_STATE in unused
    np.testing.assert_array_equal(values(other)["final.weight"], values(net)["final.weight"])


def test_a_part_of_the_moments_is_damage(saved, tmp_path):
    net, path = saved
    contents = {name: value for name, value in ms.load_checkpoint(str(path)).items() if not isinstance(value, str)}
    del contents["moment2.final.weight"]
    ms.save_checkpoint([{"name": name, "data": value} for name, value in contents.items()], str(tmp_path / "part.ckpt"))
    train_network = nn.TrainOneStepCell(net, nn.Adam(net.trainable_params()))
    with pytest.raises(UNetError, match="of Adam's moments, 1 are missing .moment2.final.weight"):
        checkpoint.resume(train_network, net, tmp_path / "part.ckpt")


def test_transfer_to_more_channels(tmp_path, caplog):
    caplog.set_level("INFO", "unet")
    net = UNet(3, 2, feature_scale=16)
    path = checkpoint.save(nn.TrainOneStepCell(net, nn.Adam(net.trainable_params())), tmp_path / "x.ckpt", {"step": 3})
    wide = UNet(5, 2, feature_scale=16)
    checkpoint.transfer(wide, path, [])
    found, own = values(wide), values(net)
    first, = [name for name in own if found[name].shape != own[name].shape]
    assert own[first].shape[1] == 3
    np.testing.assert_array_equal(found[first][:, :3], own[first])
    for channel in (3, 4):
        np.testing.assert_allclose(found[first][:, channel], own[first].mean(axis=1), atol=1e-7)
    assert all((found[name] == own[name]).all() for name in own if name != first)
    assert "its network takes 3 channels (blue, green, red), this one 5; the first 3 keep their weights" in caplog.text
    with pytest.raises(UNetError, match=r"is \(4, 3, 3, 3\) there, \(4, 1, 3, 3\) here; leave it out"):
        checkpoint.transfer(UNet(1, 2, feature_scale=16), path, [])


def test_transfer_that_fits_nothing(saved):
    with pytest.raises(UNetError, match="no parameter fits"):
        checkpoint.transfer(NestedUNet(1, 2, feature_scale=16), saved[1], [])


def test_evaluation_leaves_the_names_alone(saved):
    net, _ = saved
    before = set(values(net))
    UnetEval(net)
    assert set(values(net)) == before


def test_names_and_folders():
    assert checkpoint_files.checkpoint_name("unet_medical", 1, 600) == "ckpt_unet_medical_adam-1_600.ckpt"


def states(folder, **steps):
    """Write a checkpoint for each name -> step of run "mine", or name -> (run, step); the youngest file first."""
    for age, (name, about) in enumerate(reversed(steps.items())):
        run, step = about if isinstance(about, tuple) else ("mine", about)
        state = {"step": step} if run is None else {"step": step, "run": run}
        path = checkpoint.save(nn.Dense(1, 1), folder / f"{name.replace('__', '-')}.ckpt", state)
        os.utime(path, (age, age))


def test_prune_keeps_the_newest_and_the_best_of_a_run(tmp_path):
    states(tmp_path, ckpt_a_adam__1_9=9, best=3, ckpt_a_adam__1_30=30, ckpt_a_adam__2_1=31,
           ckpt_a_adam__1_8=("other", 8), ckpt_b_adam__1_1=(None, 1))
    checkpoint.prune(tmp_path, "mine", 2, 31)
    left = ["best.ckpt", *(f"ckpt_{name}.ckpt" for name in ("a_adam-1_30", "a_adam-1_8", "a_adam-2_1", "b_adam-1_1"))]
    assert sorted(os.listdir(tmp_path)) == left
    checkpoint.prune(tmp_path, "mine", 10, 31)
    checkpoint.prune(tmp_path, None, 1, 1)
    checkpoint.prune(tmp_path, "mine", 10)      # nothing was trained since the run went back
    assert sorted(os.listdir(tmp_path)) == left


def test_prune_after_a_run_has_gone_back(tmp_path):
    """What it has just saved stays, and the steps that it has left go, or they would be taken for the newest."""
    states(tmp_path, ckpt_a_adam__1_30=30, ckpt_a_adam__1_40=40, best=40, ckpt_a_adam__1_21=21, ckpt_a_adam__1_10=10,
           ckpt_a_adam__1_50=("other", 50))
    checkpoint.prune(tmp_path, "mine", 1, 21)
    assert sorted(os.listdir(tmp_path)) == ["best.ckpt", "ckpt_a_adam-1_21.ckpt", "ckpt_a_adam-1_50.ckpt"]


def test_newest_readable(tmp_path, caplog):
    """The highest step of the run, whatever the age of the file; the best checkpoint is the last resort."""
    states(tmp_path, ckpt_a_adam__1_9=9, ckpt_a_adam__1_30=30, best=20, ckpt_a_adam__2_1=31)
    assert checkpoint.newest_readable(tmp_path, "a") == tmp_path / "ckpt_a_adam-2_1.ckpt"
    (tmp_path / "ckpt_a_adam-2_1.ckpt").write_bytes((tmp_path / "ckpt_a_adam-2_1.ckpt").read_bytes()[:-40])
    assert checkpoint.newest_readable(tmp_path, "a", "mine") == tmp_path / "ckpt_a_adam-1_30.ckpt"
    assert [line.split(": not")[0] for line in caplog.messages] == [
        f"WARNING: passed over: {tmp_path / 'ckpt_a_adam-2_1.ckpt'}"]
    (tmp_path / "ckpt_a_adam-1_30.ckpt").unlink()
    assert checkpoint.newest_readable(tmp_path, "a") == tmp_path / "ckpt_a_adam-1_9.ckpt"
    (tmp_path / "ckpt_a_adam-1_9.ckpt").unlink()
    assert checkpoint.newest_readable(tmp_path, "a") == tmp_path / "best.ckpt"
    assert checkpoint.newest_readable(tmp_path / "none", "a") is None
    states(tmp_path, ckpt_a_adam__1_40=("other", 40))
    assert checkpoint.newest_readable(tmp_path, "a", "mine") == tmp_path / "best.ckpt"
    with pytest.raises(UNetError, match=r"several runs: run mine to step 20 \(best.ckpt\), run other to step 40 "):
        checkpoint.newest_readable(tmp_path, "a")
    with pytest.raises(UNetError, match="no checkpoint of run third, but of others: run mine"):
        checkpoint.newest_readable(tmp_path, "a", "third")


def test_newest_of_the_model_zoo(tmp_path):
    """Without a state, the numbers in the names: epoch 10 is after epoch 9."""
    for name in ("9_8", "10_1", "10_2"):
        ms.save_checkpoint(nn.Dense(1, 1), str(tmp_path / f"ckpt_a_adam-{name}.ckpt"))
    assert checkpoint.newest_readable(tmp_path, "a").name == "ckpt_a_adam-10_2.ckpt"
    assert checkpoint_files.final_checkpoint(tmp_path, "a").name == "ckpt_a_adam-10_2.ckpt"
    states(tmp_path, ckpt_a_adam__1_1=1)
    assert checkpoint.newest_readable(tmp_path, "a").name == "ckpt_a_adam-1_1.ckpt"


def test_the_result_of_a_run(tmp_path):
    """Its best checkpoint; not one that another run has left there."""
    states(tmp_path, best=2, ckpt_a_adam__1_9=9)
    assert checkpoint_files.final_checkpoint(tmp_path, "a").name == "best.ckpt"
    states(tmp_path, best=("other", 12))
    assert checkpoint_files.final_checkpoint(tmp_path, "a").name == "ckpt_a_adam-1_9.ckpt"
    (tmp_path / "ckpt_a_adam-1_9.ckpt").unlink()
    assert checkpoint_files.final_checkpoint(tmp_path, "a").name == "best.ckpt"
    assert checkpoint_files.final_checkpoint(tmp_path / "none", "a") is None


def test_the_state_is_read_without_the_parameters(saved):
    _, path = saved
    assert checkpoint_files.read_state(path) == {"step": 3, "name": "é"}
    data = path.read_bytes()
    for size in (0, 1, 3, 40, len(data) // 2, len(data) - 30):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError):
            checkpoint_files.read_state(path)
    ms.save_checkpoint(network(), str(path))
    assert checkpoint_files.read_state(path) is None


# ---- what is refused, and leaves the network as it was


def refused(net, path):
    before = values(net)
    with pytest.raises(UNetError) as caught:
        checkpoint.load_weights(net, path)
    for name, value in values(net).items():
        np.testing.assert_array_equal(before[name], value)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_file(tmp_path):
    assert "no such checkpoint" in refused(network(), tmp_path / "none.ckpt")
    assert "a folder, where a checkpoint is expected" in refused(network(), tmp_path)


@pytest.mark.parametrize("data", [b"", b"text", b"\0" * 5000])
def test_not_a_checkpoint(tmp_path, data):
    path = tmp_path / "x.ckpt"
    path.write_bytes(data)
    assert "not a whole MindSpore checkpoint" in refused(network(), path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_truncated(saved, share):
    net, path = saved
    data = path.read_bytes()
    path.write_bytes(data[:int(len(data) * share)])
    refused(network(seed=1), path)


def test_flipped_bit(saved):
    net, path = saved
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    assert "not a whole MindSpore checkpoint" in refused(network(seed=1), path)


def test_another_network(saved):
    _, path = saved
    message = refused(NestedUNet(1, 2, feature_scale=16), path)
    assert "another network" in message and "missing in the file (conv00.convs.0.0.weight, " in message
    assert "unknown to the network (conv0.convs.0.0.weight" in message


def test_other_classes(saved):
    _, path = saved
    net = UNet(1, 5, feature_scale=16)
    assert "1 of another shape (final.weight is (2, 4, 1, 1) there, (5, 4, 1, 1) here)" in refused(net, path)


def test_network_without_batch_norm(saved):
    """All that it needs is in the file; but it is another network's."""
    _, path = saved
    assert "unknown to the network" in refused(network(use_bn=False), path)


def test_published_checkpoint_with_weights_alone(tmp_path):
    net = network()
    path = tmp_path / "zoo.ckpt"
    ms.save_checkpoint(net, str(path))
    other = network(seed=1)
    checkpoint.load_weights(other, path)
    np.testing.assert_array_equal(values(other)["final.weight"], values(net)["final.weight"])


def test_published_checkpoint_with_moments(tmp_path):
    net = network()
    extra = [{"name": "global_step", "data": Parameter(Tensor([5], ms.int32))},
             {"name": "beta1_power", "data": Tensor(0.9)}, {"name": "learning_rate", "data": Tensor(1e-4)},
             {"name": "moment1.final.weight", "data": Tensor(np.zeros((2, 4, 1, 1), np.float32))}]
    path = tmp_path / "zoo.ckpt"
    ms.save_checkpoint([{"name": p.name, "data": p} for p in net.get_parameters()] + extra, str(path))
    checkpoint.load_weights(network(seed=1), path)


def test_half_precision_weights(tmp_path):
    net = network()
    path = tmp_path / "half.ckpt"
    ms.save_checkpoint([{"name": p.name, "data": p.astype(ms.float16)} for p in net.get_parameters()], str(path))
    other = network(seed=1)
    checkpoint.load_weights(other, path)
    assert other.final.weight.dtype == ms.float32
    np.testing.assert_allclose(values(other)["final.weight"], values(net)["final.weight"], rtol=1e-3)
