"""src.utils and src.eval_callback: what mindspore.Model takes, without a training."""
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from PIL import Image

from src import utils
from src.eval_callback import EvalCallBack
from src.model_utils.config import config, parse_options
from src.model_utils.errors import UNetError


def image_of(quarters):
    """4x6 pixels from the values of four quarters."""
    return np.kron(quarters, np.ones((2, 3))).astype(np.float32)


# Class 1 is below. Per quarter, p.y = 3, p.p = 3 and y.y = 4 over both classes; for class 1 alone 1.5, 1.5 and 2.
BELOW, FIRST = image_of([[0, 0], [1, 1]]), image_of([[0, 0.5], [0.5, 1]])
LABEL = np.stack([1 - BELOW, BELOW])[None]
SOFT = np.stack([1 - FIRST, FIRST], axis=-1)[None]
LOGITS = np.log(SOFT + 1e-9).transpose(0, 3, 1, 2)


@pytest.fixture(autouse=True)
def command_line(monkeypatch, tmp_path):
    """Sets the options that the command line gives; at first none. Files go into an empty folder."""
    def use(*arguments):
        monkeypatch.setattr(utils, "config", parse_options(arguments, ""))
    use()
    monkeypatch.chdir(tmp_path)
    return use


def score(prediction, label=LABEL, **options):
    metric = utils.dice_coeff(**options)
    metric.update(Tensor(prediction), Tensor(label))
    return metric.eval()


@pytest.mark.parametrize("prediction, dice", [
    (SOFT, 6 / 7),
    (LOGITS, 6 / 7),
    (np.stack([-LOGITS, LOGITS]), 6 / 7),                           # of two heads, of which the last one counts
    (FIRST[None, ..., None], 6 / 7),                                # of one output channel
    (image_of([[0, 1], [1, 1]]).astype(np.int32)[None], 3 / 4),     # class numbers: three of four pixels are right
])
def test_dice_coeff(prediction, dice, capsys):
    found = score(prediction)
    assert found == pytest.approx((dice, dice / (2 - dice)), abs=1e-5)
    assert capsys.readouterr().out == f"single dice coeff is: {found[0]}, IOU is: {found[1]}\n"


def test_dice_coeff_is_a_mean_over_the_images():
    metric = utils.dice_coeff(print_res=False)
    metric.update(SOFT, LABEL)
    metric.update(LABEL.transpose(0, 2, 3, 1), LABEL)
    assert metric.eval()[0] == pytest.approx((6 / 7 + 1) / 2, abs=1e-5)
    metric.clear()
    with pytest.raises(UNetError, match="no image"):
        metric.eval()


def test_options_of_the_metric(command_line):
    command_line("--include_background=False")
    assert score(SOFT)[0] == pytest.approx(3 / 3.5, abs=1e-5)
    command_line("--eval_resize=True")
    larger = np.repeat(np.repeat(LABEL, 2, 2), 2, 3)
    assert score(image_of([[0, 0], [1, 1]]).astype(np.int32)[None], larger)[0] == pytest.approx(1)


def test_images_of_the_metric(capsys):
    assert score(SOFT, print_res=False, show_eval=True)[0] == pytest.approx(6 / 7, abs=1e-5)
    assert capsys.readouterr().out == ""
    mask = np.asarray(Image.open("draw_eval/mask-1.png"))
    assert mask.shape == (4, 6, 3) and mask[0, 0].tolist() == [0, 0, 0] and mask[-1, 0].tolist() == [255, 0, 0]
    assert (utils.dice_coeff().draw_img(BELOW, 2) == mask).all()


@pytest.mark.parametrize("prediction, label, part", [
    (SOFT[:, :2], LABEL, "the prediction is 2x6 .* the label 4x6; .*--eval_resize=True"),
    (np.concatenate([SOFT, SOFT]), np.concatenate([LABEL, LABEL]), "a batch of 2; evaluate with batches of 1"),
    (np.zeros((1, 3, 4, 6)), LABEL, r"\(1, 3, 4, 6\); expected .* the 2 classes"),
])
def test_what_the_metric_refuses(prediction, label, part):
    with pytest.raises(UNetError, match=part):
        score(prediction, label)


def test_metric_in_a_program_with_a_command_line_of_its_own(monkeypatch, caplog):
    monkeypatch.setattr(utils, "config", type(config)())
    monkeypatch.setattr("sys.argv", ["notebook", "-f", "kernel.json"])
    assert score(SOFT, print_res=False)[0] == pytest.approx(6 / 7, abs=1e-5)
    assert len(caplog.messages) == 1 and "unknown option -f" in caplog.messages[0]


# ---- networks, losses and checkpoints for evaluation


class FixedHeads(nn.Cell):
    def construct(self, x):
        return x


@pytest.mark.parametrize("activate, expected", [
    ("softmax", SOFT), ("Softmax", SOFT), ("argmax", (LOGITS[:, 0] < LOGITS[:, 1]).astype(np.int32))])
@pytest.mark.parametrize("need_slice", [False, True])
def test_unet_eval(activate, expected, need_slice):
    net = utils.UnetEval(FixedHeads(), need_slice=need_slice, eval_activate=activate)
    for logits in (LOGITS, np.stack([-LOGITS, LOGITS])):
        np.testing.assert_allclose(net(Tensor(logits)).asnumpy(), expected, atol=1e-6)


def test_unet_eval_refuses():
    with pytest.raises(UNetError, match="'relu': expected softmax, argmax or sigmoid"):
        utils.UnetEval(FixedHeads(), eval_activate="relu")


def test_temp_loss():
    assert (utils.TempLoss()(Tensor(LOGITS), Tensor(LABEL)).asnumpy() == LOGITS).all()


def test_filter_checkpoint_parameter_by_list(capsys):
    parameters = {"a.weight": 1, "final1.weight": 2, "moment1.final1.weight": 3}
    utils.filter_checkpoint_parameter_by_list(parameters, ["final1", "b"])
    assert parameters == {"a.weight": 1}
    assert capsys.readouterr().out.count("Delete parameter from checkpoint:") == 2


def test_mask_to_image():
    picture = utils.mask_to_image(BELOW)
    assert picture.size == (6, 4) and (np.asarray(picture) == 255 * BELOW).all()


def test_apply_eval():
    class Fixed:
        def eval(self, dataset, dataset_sink_mode):
            assert (dataset, dataset_sink_mode) == ("images", False)
            return {"dice_coeff": (0.75, 0.6)}

    values = {name: utils.apply_eval({"model": Fixed(), "dataset": "images", "metrics_name": name})
              for name in ("dice_coeff", "iou")}
    assert values == {"dice_coeff": 0.75, "iou": 0.6}
    with pytest.raises(UNetError, match="'acc': expected one of dice_coeff, iou"):
        utils.apply_eval({"model": Fixed(), "dataset": "images", "metrics_name": "acc"})


# ---- callbacks, driven as Model.train does


class Parameters(dict):
    """As those of MindSpore's run context."""

    __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__


def drive(callback, losses, batch_num, train_network=None):
    """Epochs of ``batch_num`` steps with these losses."""
    parameters = Parameters(batch_num=batch_num, cur_step_num=0, train_network=train_network)
    context = ms.train.RunContext(parameters)
    callback.on_train_begin(context)
    for loss in losses:
        if parameters.cur_step_num % batch_num == 0:
            parameters.cur_epoch_num = parameters.cur_step_num // batch_num + 1
            callback.on_train_epoch_begin(context)
        parameters.cur_step_num += 1
        callback.on_train_step_begin(context)
        parameters.net_outputs = loss
        callback.on_train_step_end(context)
        if parameters.cur_step_num % batch_num == 0:
            callback.on_train_epoch_end(context)
    callback.on_train_end(context)


@pytest.mark.parametrize("options, steps, epochs", [
    ({}, [1, 2, 1, 2], [1, 2]), ({"per_print_times": 2}, [2, 2], [1, 2]), ({"per_print_times": 0}, [], [1, 2]),
    ({"rank": 1}, [1, 2, 1, 2], [])])
def test_step_loss_time_monitor(options, steps, epochs, capsys):
    losses = [Tensor(0.5), (Tensor(0.25), Tensor(False), Tensor(1024.0)), Tensor([1.0, 2.0]), Tensor(0.5)]
    drive(utils.StepLossTimeMonitor(4, **options), losses, 2)
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[1][:-1]) for line in lines if line.startswith("step: ")] == steps
    assert [int(line.split()[1][:-1]) for line in lines if line.startswith("epoch: ")] == epochs
    if not options:
        assert lines[0].startswith("step: 1, loss is 0.5, fps is ")
        assert lines[2].startswith("epoch:   1, avg loss:0.3750, total cost: 0.0")
        assert lines[3].startswith("step: 1, loss is 1.5, fps is ")


def test_step_loss_time_monitor_ends_a_training_without_a_loss():
    with pytest.raises(UNetError, match="the loss is nan at step 1 of epoch 2"):
        drive(utils.StepLossTimeMonitor(1), [Tensor(0.5), Tensor(float("nan"))], 1)
    with pytest.raises(UNetError, match="per_print_times -1"):
        utils.StepLossTimeMonitor(1, -1)


@pytest.mark.parametrize("options, evaluated, best", [
    ({}, [1, 2, 3, 4], 3), ({"interval": 2}, [1, 3], 3), ({"eval_start_epoch": 2, "interval": 2}, [2, 4], 2)])
def test_eval_call_back(options, evaluated, best, capsys):
    """Evaluations of 0.5, 0.75, 0.75 and NaN; of equal ones the later is better. The network trains on afterwards."""
    results, network = iter([[0.5, 0.75, 0.75, float("nan")][epoch - 1] for epoch in evaluated]), nn.Dense(2, 1)

    def evaluation(given):
        assert given == {"model": 1}
        network.set_train(False)
        return next(results)
    drive(EvalCallBack(evaluation, {"model": 1}, ckpt_directory="a/b", metrics_name="dice_coeff", **options),
          [Tensor(0.5)] * 4, 1, network.set_train())
    assert network.training and next(results, None) is None
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("epoch: ")][0] == f"epoch: {evaluated[0]}, dice_coeff: " \
        f"{0.5 if evaluated[0] == 1 else 0.75}"
    assert lines[-1] == f"End training, the best dice_coeff is: 0.75, the best dice_coeff epoch is {best}"
    assert "update best checkpoint at: a/b/best.ckpt" in lines
    assert set(ms.load_checkpoint("a/b/best.ckpt")) == {"weight", "bias"}


def test_eval_call_back_without_a_checkpoint(tmp_path):
    callback = EvalCallBack(lambda given: 1.0, {}, save_best_ckpt=False)
    drive(callback, [Tensor(0.5)], 1, nn.Dense(2, 1))
    assert list(tmp_path.iterdir()) == [] and callback.best_epoch == 1
    callback.remove_ckpoint_file("none.ckpt")
    with pytest.raises(UNetError, match="interval 0"):
        EvalCallBack(lambda given: 1.0, {}, interval=0)
