"""The mean of the weights: its values, and that a run evaluates, saves and resumes with it."""
import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.model_utils.config import parse_options
from src.report.history import VALIDATION, read_history
from src.training import checkpoint, run
from src.training.weight_average import WeightAverage
from tests.support.scripts import run as run_script

ARGV = ["--model_name=unet_simple", "--image_size=[96,96]", "--train_crop=32", "--batch_size=2", "--repeat=1",
        "--epochs=1", "--lr=0.01",
        "--save_checkpoint_steps=2", "--augment_rot90=True", "--check_dataset=False", "--weight_init=he_normal",
        "--run_eval=True", "--eval_steps=2", "--ema_decay=0.6"]


def network():
    """One weight of 4, and the moving statistics of batch norm: means 0, variances 1."""
    return nn.SequentialCell(nn.Conv2d(1, 1, 1, has_bias=False, weight_init=4.0), nn.BatchNorm2d(1))


def weights(net):
    return {parameter.name: parameter.asnumpy().copy() for parameter in net.get_parameters()}


def test_values():
    """After step t the mean keeps (1 + t) / (10 + t) of itself, at most the decay: 2/11, 3/12, then 0.3."""
    net = network()
    average = WeightAverage(net, 0.3)
    weight = net[0].weight
    mean = 4.0
    for step, (value, kept) in enumerate([(1.0, 2 / 11), (3.0, 0.25), (2.0, 0.3)], 1):
        weight.set_data(Tensor(np.full(weight.shape, value, np.float32)))
        net[1].moving_mean.set_data(Tensor(np.full(1, value, np.float32)))
        average.update(step)
        mean = kept * mean + (1 - kept) * value
        assert float(average.named()[weight.name].item()) == pytest.approx(mean, rel=1e-6)
    assert mean == pytest.approx(0.3 * (0.25 * (0.18182 * 4 + 0.81818) + 0.75 * 3) + 0.7 * 2, rel=1e-4)
    # The statistics began at 0.
    assert float(average.named()[net[1].moving_mean.name].item()) == pytest.approx(mean - 0.3 * 0.25 * 2 / 11 * 4)


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_the_network_has_the_mean_only_for_a_while(mode):
    """The compiled network predicts with the means, and then with its own weights again, also after an error."""
    ms.set_context(mode=mode)
    try:
        check_mean_for_a_while()
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)


def check_mean_for_a_while():
    net = network()
    net.set_train(False)
    image = Tensor(np.ones((1, 1, 2, 2), np.float32))
    own = net(image).asnumpy()
    average = WeightAverage(net, 0.5)
    average.means[0][:] = 2.0
    before = weights(net)
    with pytest.raises(ZeroDivisionError), average.in_network():
        np.testing.assert_allclose(net(image).asnumpy(), own / 2, rtol=1e-6)
        raise ZeroDivisionError
    np.testing.assert_array_equal(net(image).asnumpy(), own)
    assert {name: value.tobytes() for name, value in weights(net).items()} == {
        name: value.tobytes() for name, value in before.items()}
    # The weights of the next steps do not change the means.
    means = [mean.copy() for mean in average.means]
    for parameter in net.get_parameters():
        ops.assign_add(parameter, Tensor(np.ones(parameter.shape, np.float32)))
    assert all((mean == other).all() for mean, other in zip(means, average.means))


@pytest.mark.slow
@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_the_means_in_the_network_for_a_while_do_not_change_the_training(mode):
    def trained(evaluates):
        net = network()
        step = nn.TrainOneStepCell(nn.WithLossCell(net, nn.MSELoss()), nn.Adam(net.trainable_params(), 0.1))
        average = WeightAverage(net, 0.5)
        for number in range(1, 5):
            step.set_train()
            step(*(Tensor(np.random.default_rng((number, part)).normal(size=(2, 1, 4, 4)).astype(np.float32))
                   for part in range(2)))
            average.update(number)
            if evaluates:
                net.set_train(False)
                with average.in_network():
                    net(Tensor(np.ones((1, 1, 4, 4), np.float32))).asnumpy()
        return [value.tobytes() for value in weights(step).values()], [mean.tobytes() for mean in average.means]

    ms.set_context(mode=mode)
    try:
        assert trained(True) == trained(False)
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)


def test_checkpoints_hold_the_mean_under_the_published_names(tmp_path):
    net = network()
    step = nn.TrainOneStepCell(net, nn.Adam(net.trainable_params()))
    average = WeightAverage(net, 0.5)
    average.means[0][:] = 3.0
    path = checkpoint.save(step, tmp_path / "x.ckpt", {"step": 7}, average)
    name = net[0].weight.name
    held = ms.load_checkpoint(str(path))
    assert (held[name].asnumpy() == 3).all() and (held[f"trained.{name}"].asnumpy() == 4).all()

    other = network()
    checkpoint.load_weights(other, path)
    assert (other[0].weight.asnumpy() == 3).all()
    again = network()
    again[0].weight.set_data(Tensor(np.full((1, 1, 1, 1), 9, np.float32)))
    step, means = nn.TrainOneStepCell(again, nn.Adam(again.trainable_params())), WeightAverage(again, 0.5)
    assert checkpoint.resume(step, again, path, means)["step"] == 7
    assert (again[0].weight.asnumpy() == 4).all() and (means.named()[name] == 3).all()
    # A run without a mean trains on from the same weights.
    assert checkpoint.resume(step, again, path)["step"] == 7 and (again[0].weight.asnumpy() == 4).all()


def test_a_checkpoint_without_the_mean_begins_it(tmp_path, caplog):
    caplog.set_level("INFO", "unet")
    net = network()
    step = nn.TrainOneStepCell(net, nn.Adam(net.trainable_params()))
    path = checkpoint.save(step, tmp_path / "x.ckpt", {"step": 7})
    average = WeightAverage(net, 0.5)
    average.means[0][:] = 3.0
    checkpoint.resume(step, net, path, average)
    assert (average.means[0] == 4).all()
    assert any("it does not hold the mean of the weights, which starts afresh" in line for line in caplog.messages)


def everything(trainer):
    return [*(parameter.asnumpy().tobytes() for parameter in trainer.train_network.get_parameters()),
            *(mean.tobytes() for mean in trainer.average.means)]


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--accumulate_steps=2", "--batch_size=1"], ["--amp_level=O2", "--cpu_ops=off"],
                                  ["--context_mode=pynative", "--cpu_ops=off"]],
                         ids=["graph", "accumulated", "O2", "pynative"])
def test_a_resumed_run_is_the_same(light_runs, sample, tmp_path, more):
    argv = [*ARGV, *more, f"--data_path={sample}"]
    trainer = run.train(parse_options([*argv, f"--output_path={tmp_path / 'whole'}"], ""))
    (path,) = tmp_path.glob("whole/checkpoint/ckpt_0/*-1_2.ckpt")
    again = run.train(parse_options([*argv, f"--output_path={tmp_path / 'again'}", "--resume=True",
                                     f"--resume_ckpt={path}"], ""))
    assert trainer.step == again.step == 4 and everything(trainer) == everything(again)
    assert trainer.evaluation.value == again.evaluation.value
    trained = weights(trainer.train_network)
    assert any((trained[name] != mean).any() for name, mean in trainer.average.named().items())


@pytest.mark.slow
def test_eval_gives_the_score_of_the_run(light_runs, sample, tmp_path):
    """The last evaluation of a run, and eval.py on its last checkpoint: both are of the mean."""
    out = tmp_path / "out"
    argv = [*ARGV, f"--data_path={sample}", f"--output_path={out}"]
    assert run_script("train.py", *argv).returncode == 0
    last = [row for row in read_history(out / "history.csv") if row.kind == VALIDATION][-1]
    (path,) = out.glob("checkpoint/ckpt_0/*-1_4.ckpt")
    result = run_script("eval.py", *argv, f"--checkpoint_file_path={path}", "--backend=mindspore")
    assert result.returncode == 0, result.stderr
    (metrics,) = out.glob("metrics.json")
    assert json.loads(metrics.read_text())["soft"]["dice_coeff"] == pytest.approx(last.dice_coeff, abs=1e-6)
