"""A checkpoint holds all of a run's state, whatever the network, the kernels, the precision and the mode."""
import pytest

from src.cpu_ops import choose_backend
from src.data.pipeline import training_batches
from src.model_utils.config import parse_options
from src.networks.layers import MINDSPORE
from src.networks.registry import names
from src.training import checkpoint, run
from tests.support.narrow import NarrowLayers

ARGV = ["--batch_size=2", "--repeat=1", "--total_steps=2", "--lr=0.001", "--save_checkpoint_steps=1",
        "--augment_rot90=True", "--lr_schedule=cosine", "--check_dataset=False", "--weight_init=he_normal"]
SIZES = {"unet_medical": ["--image_size=[188,188]", "--crop=[4,4]"]}
CASES = [*(pytest.param(name, *case, id="-".join([name, *case])) for name in names() for case in (
    ("on", "O0", "graph"), ("off", "O2", "pynative"))),
         pytest.param("unet_keras", "off", "O2", "graph", id="unet_keras-off-O2-graph"),
         pytest.param("unet_nested", "off", "O0", "pynative", id="unet_nested-off-O0-pynative")]


def values(train_network):
    """name -> bytes of all that training changes."""
    return {parameter.name: parameter.asnumpy().tobytes() for parameter in train_network.get_parameters()}


@pytest.fixture
def built(monkeypatch):
    """What the last run was built of: the network and the samples that it trains with. The network is narrow."""
    parts = []

    def build(*args, make=run.build):
        network, trainer = make(*args)
        parts[:] = network, args[-2]
        return network, trainer

    monkeypatch.setattr(run, "build", build)
    monkeypatch.setattr(run, "choose_backend", lambda *args: NarrowLayers(choose_backend(*args), 16))
    return parts


@pytest.mark.slow
@pytest.mark.parametrize("model, cpu_ops, amp_level, mode", CASES)
def test_steps_again_from_a_checkpoint(built, sample, tmp_path, model, cpu_ops, amp_level, mode):
    """Four steps, and the last two of them again from the checkpoint after the second: the same, bit for bit."""
    if cpu_ops == "on" and choose_backend(parse_options([], ""), "CPU") is MINDSPORE:
        pytest.skip("the CPU operators cannot be compiled here")
    config = parse_options([
        *ARGV, f"--model_name={model}", *SIZES.get(model, ["--image_size=[96,96]", "--train_crop=32"]),
        f"--cpu_ops={cpu_ops}", f"--amp_level={amp_level}", f"--context_mode={mode}", f"--data_path={sample}",
        f"--output_path={tmp_path / 'whole'}"], "")
    trainer = run.train(config)
    whole = values(trainer.train_network)
    (path,) = tmp_path.glob("whole/checkpoint/ckpt_0/*-1_1.ckpt")
    if mode == "graph":     # to compile it again would take longer than all the rest
        network, samples = built
        trainer.restore(checkpoint.resume(trainer.train_network, network, path))
        assert trainer.step == 1 and values(trainer.train_network) != whole
        trainer.run(training_batches(samples, trainer.schedule, first_step=1), lambda: False)
    else:
        trainer = run.train(config.replace(resume=True, resume_ckpt=str(path), output_path=str(tmp_path / "again")))
    assert trainer.step == 2 and values(trainer.train_network) == whole
