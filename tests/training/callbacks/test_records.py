"""The records of a run, driven by a stand-in for the Trainer."""
import errno
import logging
import os
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from src.data.schedule import Schedule
from src.evaluation.scores import Scores
from src.report.gallery import GalleryImage
from src.report.history import STEP, TRAINING, VALIDATION, History, read_history
from src.training.callbacks.callback import Callback
from src.training.callbacks.progress_bar import LiveLine
from src.training.callbacks.records import HistoryWriter, ProgressPicture, ReportWriter
from src.training.callbacks.tensorboard import TensorBoardLog
from src.training.evaluation import Evaluation
from tests.support.tensorboard_events import events
from tests.support.trainer import StandInTrainer

PICTURE = GalleryImage("slice 7", 0.5, 0.25, *(np.full((8, 8, 3), value, np.uint8) for value in (9, 99)))


class Evaluations(Callback):
    """Evaluations of these values after some of the steps."""

    def __init__(self, values):
        self.values, self.best = values, 0.0

    def on_step_end(self, trainer):
        if trainer.step in self.values:
            value = self.values[trainer.step]
            is_best, self.best = value > self.best, max(value, self.best)
            scores = Scores(True, ["x"], [value], [value / 2], {}, {name: [value] for name in (
                "acc", "hard_iou", "hard_dice", "sens", "spec")})
            trainer.take_evaluation(Evaluation(trainer.step, trainer.epoch_and_step[0], "dice_coeff", value, self.best,
                                               is_best, scores, scores if trainer.step == 2 else None,
                                               SimpleNamespace(first=[PICTURE]), 2.0))


def go(callbacks, values=None):
    """Two epochs of two steps, with evaluations of these values after some of them."""
    run = StandInTrainer(Schedule(2, 1, 2, 1), [Evaluations(values or {}), *callbacks])
    for callback in callbacks:
        callback.on_train_begin(run)
    run.go()
    for callback in callbacks:
        callback.close()
    return run


@pytest.fixture
def history(tmp_path):
    return History(tmp_path)


@pytest.fixture
def writer(history):
    return HistoryWriter(history, [0.5, 0.25, 0.125, 0.0625].__getitem__, images_per_step=2)


def test_history(history, writer):
    go([writer], {2: 0.5, 4: 0.75})
    rows = list(read_history(history.path))
    assert [(row.step, row.kind) for row in rows] == [
        (1, STEP), (2, STEP), (2, VALIDATION), (2, TRAINING), (3, STEP), (4, STEP), (4, VALIDATION)]
    last = rows[-2]
    assert (last.epoch, last.loss, last.learning_rate, last.seconds, last.images_per_second, last.waiting) == (
        2, 0.5, 0.0625, 0.25, 8.0, 0.5)
    assert (rows[-1].dice_coeff, rows[-1].hard_iou, rows[-1].iou) == (0.75, 0.75, 0.375)


def test_history_has_the_rows_of_an_evaluation_before_its_checkpoint(history, writer):
    found = []

    class Saver(Callback):
        def on_evaluation(self, trainer):
            found.append([(row.step, row.kind) for row in read_history(history.path)])
    saver = Saver()
    go([writer, saver], {1: 0.5})
    assert found == [[(1, STEP), (1, VALIDATION)]]


def test_progress_picture(history, writer, tmp_path):
    go([writer, ProgressPicture(tmp_path, history)], {2: 0.5})
    picture = np.asarray(Image.open(tmp_path / "progress.png").convert("L"))
    assert picture.shape[1] > 1000 and picture.std() > 10


def test_the_report_is_about_the_best():
    """Of those since the start: a resumed run may have seen none that beats the best before it."""
    reports = []

    def write(model, scores, gallery):
        reports.append((model, scores.mean_dice, gallery.first))
    go([ReportWriter(write)], {1: 0.5, 3: 0.75, 4: 0.6})
    assert reports == [("the network after step 3, epoch 2, the best of the run", 0.75, [PICTURE])]
    go([ReportWriter(write)])
    assert len(reports) == 1                                   # nothing was evaluated
    report = ReportWriter(write)
    for step in (1, 2):
        report.on_evaluation(SimpleNamespace(evaluation=SimpleNamespace(is_best=False, step=step)))
    assert report.shown.step == 2


def test_tensorboard(history, writer, tmp_path):
    go([writer, TensorBoardLog(tmp_path, history)], {2: 0.5})
    found = events(tmp_path / "tensorboard")
    values = {(event.step, value.tag): value for event in found for value in event.summary.value}
    assert values[3, "steps/loss"].simple_value == 0.5
    assert values[4, "steps/learning_rate"].simple_value == 0.0625
    assert values[2, "validation/dice_coeff"].simple_value == 0.5
    assert values[2, "validation_on_training_images/hard_iou"].simple_value == 0.5
    assert (values[2, "validation/slice_7"].image.width, len(values)) == (8, 4 * 5 + 8 + 8 + 1)


def test_tensorboard_of_a_resumed_run(history, tmp_path):
    """A mark of its start makes TensorBoard forget what was written beyond it."""
    log = TensorBoardLog(tmp_path, history)
    log.on_train_begin(SimpleNamespace(step=7))
    log.close()
    start, = (event for event in events(tmp_path / "tensorboard") if event.HasField("session_log"))
    assert start.step == 8 and start.session_log.status == 1


@pytest.mark.parametrize("fails_at", [0, 1, 5, 30])
def test_tensorboard_on_a_full_disk(history, writer, tmp_path, monkeypatch, caplog, fails_at):
    """At any write; the run ends as without TensorBoard."""
    writes = iter(range(100))

    def write(self, data):
        if next(writes) >= fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr("tensorboardX.event_file_writer.RecordWriter.write", write)
    monkeypatch.setattr(logging.getLogger("unet"), "propagate", True)
    go([writer, TensorBoardLog(tmp_path, history)], {2: 0.5})
    assert len(list(read_history(history.path))) == 6
    assert caplog.messages == [f"WARNING: cannot write {tmp_path / 'tensorboard'}: No space left on device; going on "
                               f"without it"]


def test_live_line(capsys):
    go([LiveLine(images_per_step=2)], {2: 0.5, 3: 0.25})
    shown = capsys.readouterr().err
    assert "step 0/4   0%|" in shown and "step 3/4  75%|" in shown
    assert "epoch 2, loss 0.5, 8 images/s, 50% waiting, dice_coeff 0.2500, best 0.5000" in shown
