"""Steps in parts: the curve of the larger batch, in the memory of a part."""
import re

import pytest

from src.model_utils.config import parse_options
from src.networks.layers import initialize
from src.networks.unet_simple import UNet
from src.training.run import train

ARGV = ["--model_name=unet_simple", "--dataset=folders", "--num_channels=3", "--image_size=[32,16]",
        "--repeat=3", "--epochs=3", "--weight_init=he_normal", "--lr=0.003", "--cpu_ops=off"]


@pytest.fixture
def losses_of(nuclei, tmp_path, caplog, monkeypatch):
    """Trains a narrow U-Net without batch norm, at most ``steps`` steps, and gives the trainer and the losses."""
    def narrow(spec, layers):
        network = UNet(3, 2, feature_scale=16, use_bn=False)
        initialize(network, spec.weight_init)
        return network

    monkeypatch.setattr("src.training.run.build_network", narrow)

    def run(name, *argv, steps=100):
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
def test_checkpoints_hold_no_sums(losses_of):
    plain, _ = losses_of("plain", "--batch_size=4", steps=1)
    parts, _ = losses_of("parts", "--batch_size=2", "--accumulate_steps=2", steps=1)
    names = [[parameter.name for parameter in trainer.train_network.get_parameters()] for trainer in (plain, parts)]
    assert sorted(names[0]) == sorted(names[1]) and len(names[0]) > 50
