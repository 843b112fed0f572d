"""Log lines and checkpoints of a run, driven by a stand-in for the Trainer."""
import re

import numpy as np
import pytest
from PIL import Image

from src.data.schedule import Schedule
from src.evaluation.evaluate import ScoredImage
from src.evaluation.scores import Scores
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.report.drawing import ClassDrawer
from src.training.callbacks.checkpoint import CheckpointSaver
from src.training.callbacks.evaluation import Evaluator
from src.training.callbacks.log import EpochLog, StepLog
from src.training.evaluation import EvaluationPlan
from tests.support.trainer import StandInTrainer


@pytest.fixture(autouse=True)
def messages(caplog):
    caplog.set_level("INFO", "unet")
    return caplog


@pytest.fixture
def saved(monkeypatch):
    """Names of the checkpoints that were saved, in order; the files are empty."""
    names = []

    def save(train_network, path, state, average):
        names.append(path.name)
        path.touch()
    monkeypatch.setattr("src.training.checkpoint.save", save)
    monkeypatch.setattr("src.training.checkpoint.prune", lambda *args: None)
    return names


def test_log_lines(messages):
    StandInTrainer(Schedule(4, 1, 2, 2), [StepLog(), EpochLog()],
        losses=[0.70117190, 0.5, 0.25, 0.125]).go()
    lines = messages.messages
    assert lines[0] == "step: 1, loss is 0.7011719, fps is 8"
    assert lines[1] == "step: 2, loss is 0.5, fps is 8"
    assert re.fullmatch(r"epoch:   1, avg loss:0\.6006, total cost: 0\.500 s, per step fps:8\.000", lines[2])
    assert lines[3].startswith("waited for data: 50.0 % of the epoch, so the data pipeline")
    assert lines[4] == "step: 1, loss is 0.25, fps is 8"      # steps count from 1 in each epoch


@pytest.mark.parametrize("interval, count", [(0, 0), (1, 6), (2, 3), (4, 1)])
def test_log_interval(messages, interval, count):
    StandInTrainer(Schedule(6, 1, 1, 1), [StepLog(interval)]).go()
    assert len(messages.messages) == count


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_loss_that_is_not_finite(saved, tmp_path, loss):
    saver = CheckpointSaver(tmp_path, "unet_simple", 1, 10)
    # The loss of step 4 is that of the weights after step 3, which are in its checkpoint too.
    with pytest.raises(UNetError, match=f"the loss is {loss} at step 4 of epoch 1.*ckpt_unet_simple_adam-1_2.ckpt"):
        StandInTrainer(Schedule(9, 1, 1, 1), [StepLog(), saver], [1.0, 1.0, 1.0, loss], tmp_path).go()
    assert saved[-1] == "ckpt_unet_simple_adam-1_3.ckpt"     # nothing is saved of the broken step
    with pytest.raises(UNetError, match="no checkpoint was saved before"):
        StandInTrainer(Schedule(9, 1, 1, 1), [StepLog()], losses=[loss]).go()


def test_the_state_of_a_callback_keeps_its_name_in_checkpoints(tmp_path):
    """Whatever the class is called: a run of an earlier release resumes with its best metric."""
    assert (EpochLog().saved_as, Evaluator.saved_as) == ("EpochLossTimeMonitor", "EvalCallBack")
    assert CheckpointSaver(tmp_path, "x", 1, 1).saved_as == "CheckpointSaver"


@pytest.mark.parametrize("interval, expected", [
    (0, ["1_3", "2_3"]), (2, ["1_2", "2_1", "2_3"]), (4, ["2_1", "2_3"]), (100, ["2_3"])])
def test_when_checkpoints_are_saved(saved, tmp_path, interval, expected):
    StandInTrainer(Schedule(3, 1, 2, 1), [CheckpointSaver(tmp_path, "unet_nested", interval, 10)]).go()
    assert saved == [f"ckpt_unet_nested_adam-{name}.ckpt" for name in expected]


@pytest.mark.parametrize("minutes, seconds, expected", [
    (0, 10, [2, 4, 6, 8, 10]), (1, 29, [2, 8, 10]), (1, 30, [2, 6, 10]), (1, 60, [2, 4, 6, 8, 10]), (60, 9, [2, 10])])
def test_least_time_between_checkpoints(saved, tmp_path, monkeypatch, minutes, seconds, expected):
    """Only ends of epochs wait; the first and the last are saved. An epoch takes so many seconds."""
    saver = CheckpointSaver(tmp_path, "x", 0, 10, minutes=minutes)
    run = StandInTrainer(Schedule(2, 1, 5, 1), [saver])
    monkeypatch.setattr("src.training.callbacks.checkpoint.time.monotonic", lambda: seconds * run.step / 2)
    run.go()
    assert saved == [f"ckpt_x_adam-{step // 2}_2.ckpt" for step in expected]


def test_all_ranks_save_together(saved, tmp_path):
    """The other rank's clock says that it is time."""
    asked = []
    run = StandInTrainer(Schedule(1, 1, 3, 1), [CheckpointSaver(tmp_path, "x", 0, 10, minutes=60, on_every_rank=True)])
    run.ranks.synchronize = lambda stop: asked.append(stop) or len(asked) == 2
    run.go()
    assert asked == [True, True, False] and saved == ["ckpt_x_adam-2_1.ckpt", "ckpt_x_adam-3_1.ckpt"]


class Validation:
    def __len__(self):
        return 1


def evaluations(monkeypatch, saved, tmp_path, scores, *argv):
    """Steps at which an evaluation ran, for a run of 2 epochs of 3 steps."""
    config = parse_options(["--run_eval=True", *argv], "")
    remaining, at, run = iter(scores), [], None

    def evaluate(*args):
        at.append(run.step)
        value = next(remaining)
        return Scores(True, ["x"], [value], [value / 2], {})

    monkeypatch.setattr("src.training.callbacks.evaluation.evaluate", evaluate)
    callback = evaluator(monkeypatch, *argv)
    saver = CheckpointSaver(tmp_path, "x", 100, 9, config.save_best_ckpt)
    run = StandInTrainer(Schedule(3, 1, 2, 1), [callback, saver])
    run.go()
    return at, callback


def evaluator(monkeypatch, *argv, train_samples=None):
    """An Evaluator without a network."""
    monkeypatch.setattr("src.training.callbacks.evaluation.predictor", lambda *args: None)
    plan = EvaluationPlan.from_config(parse_options(argv, ""))
    return Evaluator(None, Validation(), plan, train_samples)


@pytest.mark.parametrize("argv, expected", [
    ([], [3, 6]), (["--eval_interval=2"], [6]), (["--eval_start_epoch=2"], [6]), (["--eval_steps=2"], [2, 4, 6]),
    (["--eval_steps=4"], [4, 6]), (["--eval_start_epoch=9"], [6])])
def test_when_evaluations_run(monkeypatch, saved, tmp_path, argv, expected):
    """The end of the run is always evaluated."""
    assert evaluations(monkeypatch, saved, tmp_path, [0.5] * 9, *argv)[0] == expected


def test_best_is_kept(monkeypatch, saved, tmp_path, messages):
    _, callback = evaluations(monkeypatch, saved, tmp_path, [0.5, 0.75, 0.625], "--eval_steps=2")
    assert (callback.best, callback.best_epoch) == (0.75, 2)
    assert saved == ["best.ckpt", "best.ckpt", "ckpt_x_adam-2_3.ckpt"]
    best = f"update best checkpoint at: {tmp_path / 'best.ckpt'}"
    assert messages.messages == [
        "epoch: 1, step: 2, dice_coeff: 0.5", "update best result: 0.5", best,
        "epoch: 2, step: 1, dice_coeff: 0.75", "update best result: 0.75", best, "epoch: 2, step: 3, dice_coeff: 0.625",
        "End training, the best dice_coeff is: 0.75, the best dice_coeff epoch is 2",
        f"checkpoint: {tmp_path / 'ckpt_x_adam-2_3.ckpt'}"]


def test_show_eval_while_training(monkeypatch, tmp_path, messages):
    """Each evaluation draws its images, and removes those that only an earlier one has drawn.

    Images of which no pixel counts are not drawn.
    """
    classes = np.array([[0, 1]])
    drawn = iter([[0, 1], [1]])

    def evaluate(predict, samples, options, *listeners):
        for index in next(drawn):
            for listener in listeners:
                listener(ScoredImage(index, None, 1 - classes, classes, classes < 2, 0.5, 0.4))
        return Scores(True, ["x"], [0.5], [0.4], {})

    monkeypatch.setattr("src.training.callbacks.evaluation.evaluate", evaluate)
    monkeypatch.setattr("src.training.callbacks.evaluation.Gallery.add", lambda *args: None)
    monkeypatch.setattr("src.training.callbacks.evaluation.predictor", lambda *args: None)
    drawer = ClassDrawer(tmp_path, [[0, 0, 0], [255, 0, 0]], 2)
    callback = Evaluator(None, Validation(), EvaluationPlan.from_config(parse_options([], "")), None, drawer)
    StandInTrainer(Schedule(3, 1, 2, 1), [callback]).go()
    assert sorted(path.name for path in drawer.folder.iterdir()) == ["mask-2.png", "predict-2.png"]
    assert np.asarray(Image.open(drawer.folder / "predict-2.png")).tolist() == [[[255, 0, 0], [0, 0, 0]]]
    assert messages.messages.count(f"pictures: {drawer.folder}") == 2


def test_the_best_of_the_end_is_saved_before_the_last_line(monkeypatch, saved, tmp_path, messages):
    evaluations(monkeypatch, saved, tmp_path, [0.5, 0.75], "--eval_steps=4")
    assert messages.messages[-4:-1] == [
        "update best result: 0.75", f"update best checkpoint at: {tmp_path / 'best.ckpt'}",
        "End training, the best dice_coeff is: 0.75, the best dice_coeff epoch is 2"]


def test_a_checkpoint_knows_the_evaluation_of_its_step(monkeypatch, tmp_path):
    """Whatever comes first, steps or epochs: what is saved at a step holds the best value that was found there."""
    states = []
    monkeypatch.setattr("src.training.checkpoint.save", lambda _, path, state, __: states.append((path.name, state)))
    monkeypatch.setattr("src.training.checkpoint.prune", lambda *args: None)
    monkeypatch.setattr("src.training.callbacks.evaluation.evaluate",
                        lambda *args: Scores(True, ["x"], [0.75], [0.5], {}))
    callback = evaluator(monkeypatch)
    run = StandInTrainer(Schedule(2, 1, 1, 1), [callback, CheckpointSaver(tmp_path, "x", 2, 9, save_best=True)])
    run.state = lambda: {"step": run.step, **callback.state()}
    run.go()
    assert [name for name, _ in states] == ["best.ckpt", "ckpt_x_adam-1_2.ckpt"]
    assert states[0][1] == states[1][1] == {"step": 2, "metric": "dice_coeff", "best": 0.75, "best_epoch": 1,
                                            "evaluated_step": 2, "since_best": 0}


@pytest.mark.parametrize("scores, patience, last", [
    ([0.5, 0.4, 0.3, 0.9, 0.9, 0.9], 2, 3), ([0.5, 0.4, 0.6, 0.5, 0.6, 0.9], 3, 6), ([0.5] * 6, 0, 6),
    ([0.1, 0.2, 0.3, 0.4, 0.5, 0.5], 1, 6)])
def test_early_stop(monkeypatch, saved, tmp_path, messages, scores, patience, last):
    """The evaluation after which the run is asked to end: so many without a better one; equal is not better."""
    monkeypatch.setattr(StandInTrainer, "go", until_it_ends_early)
    at, callback = evaluations(monkeypatch, saved, tmp_path, scores, "--eval_steps=1",
                               f"--early_stop_patience={patience}")
    assert at == list(range(1, last + 1))
    assert any(line.startswith("early stop: no better dice_coeff than ") for line in messages.messages) == (last < 6)


def until_it_ends_early(run):
    for _ in run.losses:
        run.step, run.loss = run.step + 1, 0.5
        for callback in run.callbacks:
            callback.on_step_end(run)
        if run.ends_early:
            break


def test_an_early_stop_holds_when_resumed_unless_the_patience_is_raised(monkeypatch):
    state = {"metric": "dice_coeff", "best": 0.8, "best_epoch": 2, "evaluated_step": 6, "since_best": 3}
    for patience, ends in ((3, True), (4, False), (0, False)):
        callback = evaluator(monkeypatch, f"--early_stop_patience={patience}")
        callback.restore(state)
        run = StandInTrainer(Schedule(9, 1, 1, 1), [callback])
        callback.on_train_begin(run)
        assert run.ends_early == ends


def test_iou_and_no_checkpoint(monkeypatch, saved, tmp_path, messages):
    _, callback = evaluations(monkeypatch, saved, tmp_path, [0.5, 0.75], "--eval_metrics=iou", "--save_best_ckpt=False")
    assert callback.best == 0.375 and saved == ["ckpt_x_adam-2_3.ckpt"]
    assert "epoch: 1, iou: 0.25" in messages.messages


# ---- several metrics


def scores_of(iou):
    return Scores(True, ["x"], [0.5], [0.25], {}, {"acc": [0.75], "hard_iou": [iou]})


def test_several_metrics_for_training_and_validation(monkeypatch, saved, tmp_path, messages):
    """The lines of the case study beside the usual ones; the monitored metric picks the best."""
    training, asked = Validation(), []
    answers = iter([0.88, 0.9, 0.8912, 0.91, 0.875, 0.92])      # validation, then training

    def evaluate(predict, samples, options, on_image=None):
        asked.append(samples)
        return scores_of(next(answers))
    monkeypatch.setattr("src.training.callbacks.evaluation.evaluate", evaluate)
    callback = evaluator(monkeypatch, "--eval_metrics=[acc,hard_iou,dice_coeff]", "--monitor=hard_iou",
                         train_samples=training)
    StandInTrainer(Schedule(1, 1, 3, 1), [callback, CheckpointSaver(tmp_path, "x", 100, 9, save_best=True)]).go()
    assert [samples is training for samples in asked] == [False, True] * 3
    best = f"update best checkpoint at: {tmp_path / 'best.ckpt'}"
    assert messages.messages == [
        "epoch: 1, hard_iou: 0.88", "train: acc: 0.7500, hard_iou: 0.9000, dice_coeff: 0.5000",
        "valid: acc: 0.7500, hard_iou: 0.8800, dice_coeff: 0.5000", "IoU improved from 0.0000 to 0.8800",
        "update best result: 0.88", best,
        "epoch: 2, hard_iou: 0.8912", "train: acc: 0.7500, hard_iou: 0.9100, dice_coeff: 0.5000",
        "valid: acc: 0.7500, hard_iou: 0.8912, dice_coeff: 0.5000", "IoU improved from 0.8800 to 0.8912",
        "update best result: 0.8912", best,
        "epoch: 3, hard_iou: 0.875", "train: acc: 0.7500, hard_iou: 0.9200, dice_coeff: 0.5000",
        "valid: acc: 0.7500, hard_iou: 0.8750, dice_coeff: 0.5000", "IoU did not improve from 0.8912",
        "End training, the best hard_iou is: 0.8912, the best hard_iou epoch is 2",
        f"checkpoint: {tmp_path / 'ckpt_x_adam-3_1.ckpt'}"]
    assert callback.state() == {"metric": "hard_iou", "best": 0.8912, "best_epoch": 2, "evaluated_step": 3,
                                "since_best": 1}


def test_the_first_metric_is_monitored(monkeypatch, saved, tmp_path, messages):
    _, callback = evaluations(monkeypatch, saved, tmp_path, [0.5, 0.75], "--eval_metrics=iou,dice_coeff")
    assert callback.state()["metric"] == "iou" and callback.best == 0.375
    assert "valid: iou: 0.2500, dice_coeff: 0.5000" in messages.messages
    assert "soft IoU improved from 0.2500 to 0.3750" in messages.messages
    assert not any(line.startswith("train:") for line in messages.messages)


def test_another_monitor_starts_anew(monkeypatch):
    """The best value of another metric says nothing about this one."""
    callback = evaluator(monkeypatch, "--eval_metrics=acc,hard_iou", "--monitor=hard_iou")
    callback.restore({"metric": "acc", "best": 0.9, "best_epoch": 3, "evaluated_step": 9})
    assert callback.state() == {}
    state = {"metric": "hard_iou", "best": 0.8, "best_epoch": 2, "evaluated_step": 6, "since_best": 0}
    callback.restore(state)
    assert callback.state() == state


@pytest.mark.parametrize("argv, words", [
    (["--eval_metrics=acc", "--monitor=hard_iou"], "monitor 'hard_iou' is not one of eval_metrics, acc;"),
    (["--monitor=IoU"], "monitor 'IoU' is not one of eval_metrics, dice_coeff;"),
    (["--eval_metrics=[]"], "eval_metrics is empty; name at least one of dice_coeff, iou, acc, hard_iou"),
])
def test_metrics_that_cannot_be(argv, words):
    with pytest.raises(UNetError, match=re.escape(words)):
        EvaluationPlan.from_config(parse_options(argv, ""))
