"""Steps in parts: the curve of the larger batch, in the memory of a part."""
import re
import sys
from functools import partial
from pathlib import Path

import mindspore as ms
import pytest
from mindspore import nn

from src.model_utils.config import parse_options
from src.networks.layers import initialize
from src.networks.registry import entry
from src.networks.unet_simple import UNet
from src.training.run import train
from src.training.step import build_step
from tests.support.shallow_network import ShallowUNet

ARGV = ["--model_name=unet_simple", "--dataset=folders", "--num_channels=3", "--image_size=[32,16]",
        "--repeat=3", "--epochs=3", "--weight_init=he_normal", "--lr=0.003", "--cpu_ops=off"]


without_norm = partial(ShallowUNet, use_bn=False)


@pytest.fixture
def losses_of(nuclei, tmp_path, caplog, monkeypatch):
    """Trains a small network, at most ``steps`` steps, and gives the trainer and the losses."""
    def run(name, *argv, steps=100, make=without_norm):
        def small(spec, layers):
            network = make(3, 2, layers=layers)
            initialize(network, spec.weight_init)
            return network

        monkeypatch.setattr("src.training.run.build_network", small)
        caplog.clear()
        left = iter(range(steps))
        config = parse_options([*ARGV, *argv, f"--data_path={nuclei}", f"--output_path={tmp_path / name}"], "")
        trainer = train(config, interrupted=lambda: next(left, None) is None)
        return trainer, [float(loss) for loss in re.findall(r"step: \d+, loss is (\S+),", caplog.text)]

    caplog.set_level("INFO", "unet")
    return run


def weights(trainer):
    return [parameter.asnumpy().tobytes() for parameter in trainer.train_network.get_parameters()]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_the_curve_of_the_larger_batch(losses_of, mode):
    """The same samples in the same order: 6 steps of 4 images, as one batch and in two parts."""
    _, whole = losses_of("whole", "--batch_size=4", f"--context_mode={mode}")
    _, parts = losses_of("parts", "--batch_size=2", "--accumulate_steps=2", f"--context_mode={mode}")
    assert len(whole) == 6 and whole[-1] < 0.9 * whole[0]
    assert parts == pytest.approx(whole, rel=1e-4)


@pytest.mark.slow
def test_resume_is_exact(losses_of):
    argv = ["--batch_size=2", "--accumulate_steps=2"]
    whole, _ = losses_of("whole", *argv)
    first, _ = losses_of("stopped", *argv, steps=2)
    assert first.step == 2
    rest, losses = losses_of("stopped", *argv, "--resume=True", "--resume_ckpt=auto")
    assert rest.step == 6 and len(losses) == 4
    assert weights(rest) == weights(whole)


@pytest.mark.slow
@pytest.mark.parametrize("kernels", ["off", "auto"])
def test_batch_norm_of_a_step_in_parts(losses_of, kernels):
    """The moving variances begin at 1. A step keeps 0.9 of them, in how many parts it may be; those of its images
    themselves are next to nothing, since the weights are small."""
    for name, argv in (("whole", ["--batch_size=4"]), ("parts", ["--batch_size=1", "--accumulate_steps=4"])):
        trainer, _ = losses_of(name, *argv, f"--cpu_ops={kernels}", "--weight_init=default", steps=1, make=ShallowUNet)
        variances = [parameter.asnumpy() for parameter in trainer.train_network.get_parameters()
                     if parameter.name.endswith("moving_variance")]
        assert len(variances) == 2 and all(values == pytest.approx(0.9, abs=0.01) for values in variances)


@pytest.mark.slow
def test_mixed_precision_leaves_the_current_folder_alone(tmp_path, monkeypatch):
    """At level O1 MindSpore writes the source of the network that it changes."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    network, data = nn.Conv2d(1, 2, 3, weight_init="ones"), (ms.ops.ones((1, 1, 4, 4)), ms.ops.ones((1, 2, 4, 4)))
    step = build_step(network, nn.Adam(network.trainable_params()), nn.MSELoss(), "O1", 1024.0)
    assert float(step(*data).asnumpy()) == pytest.approx((4 * 9 + 8 * 25 + 4 * 64) / 16)
    folder = Path(step.source_folder.name)
    assert (folder / "rewritten_network").is_dir() and list((tmp_path / "here").iterdir()) == []
    step.source_folder.cleanup()
    assert not folder.exists()


@pytest.mark.slow
def test_mixed_precision_of_chosen_layers(losses_of, tmp_path, monkeypatch):
    """Level O1 begins like float32, and its networks are built anew each time.

    Python may know its packages by a symbolic link, as in an environment behind one.
    """
    monkeypatch.chdir(tmp_path)
    packages = Path(ms.__file__).resolve().parents[1]
    (tmp_path / "packages").symlink_to(packages)
    monkeypatch.setattr(sys, "path", [*(path for path in sys.path if Path(path).resolve() != packages),
                                      str(tmp_path / "packages")])
    narrow = partial(UNet, feature_scale=16, use_bn=False)
    _, whole = losses_of("O0", "--batch_size=4", "--context_mode=pynative", steps=1, make=narrow)
    for name in ("O1", "again"):
        _, mixed = losses_of(name, "--batch_size=4", "--amp_level=O1", steps=1, make=narrow)
        assert mixed == pytest.approx(whole, rel=1e-2)
    assert entry("unet_simple").network_class is UNet
    assert not (tmp_path / "rewritten_network").exists()


@pytest.mark.slow
def test_checkpoints_hold_no_sums(losses_of):
    plain, _ = losses_of("plain", "--batch_size=4", steps=1)
    parts, _ = losses_of("parts", "--batch_size=2", "--accumulate_steps=2", steps=1)
    names = [[parameter.name for parameter in trainer.train_network.get_parameters()] for trainer in (plain, parts)]
    assert sorted(names[0]) == sorted(names[1]) and len(names[0]) > 10
