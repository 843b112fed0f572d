"""What a run begins with: the state of its callbacks."""
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training import checkpoint
from src.training.callbacks.evaluation import Evaluator
from src.training.callbacks.log import EpochLog
from src.training.start import Start, load_start, stored_length

EPOCH, BEST = {"steps": 2, "losses": 0.5, "cost": 1.5, "waited": 0.1}, {"metric": "iou", "best": 0.5, "best_epoch": 1}


@pytest.fixture
def resumed(monkeypatch):
    """Resumes a run with the given states of its callbacks, and gives the callbacks."""
    def resume(states):
        evaluator = Evaluator.__new__(Evaluator)
        evaluator.plan = SimpleNamespace(metric="iou")
        callbacks = {"epoch": EpochLog(), "best": evaluator}

        def restore(state):
            for name, callback in callbacks.items():
                callback.restore(state[name])
        monkeypatch.setattr(checkpoint, "resume", lambda *_: states)
        trainer = SimpleNamespace(restore=restore, train_network=None, average=None)
        load_start(Start(Path("a.ckpt"), "run"), None, None, trainer)
        return callbacks
    return resume


def test_callbacks_go_on(resumed):
    found = resumed({"epoch": EPOCH, "best": BEST})
    assert found["epoch"].state() == EPOCH and isinstance(found["epoch"].steps, int)
    assert found["best"].state() == {**BEST, "evaluated_step": None, "since_best": 0}
    assert resumed({"epoch": {}, "best": {}})["epoch"].state() == EpochLog().state()


@pytest.mark.parametrize("epoch, best", [
    ({"steps": "x"}, {}), ({"steps": float("inf")}, {}), ({"losses": []}, {}), ({"cost": float("nan")}, {}),
    ({}, {"metric": "iou"}), ({}, {**BEST, "best": None}), ({}, {**BEST, "best_epoch": 1e999}),
    ({}, {**BEST, "since_best": -1})])
def test_states_that_cannot_be_restored(resumed, epoch, best):
    with pytest.raises(UNetError, match="a.ckpt: damaged: the state of its run cannot be restored .*; resume from"):
        resumed({"epoch": epoch, "best": best})


@pytest.mark.parametrize("steps", ["x", 1e999, -5, [3]])
def test_a_length_that_is_none(monkeypatch, steps):
    config = parse_options(["--minutes=3"], "")
    monkeypatch.setattr("src.training.start.read_state", lambda path: {"step": 1, "total_steps": steps})
    with pytest.raises(UNetError, match="a.ckpt: the length of its run: total_steps: "):
        stored_length(config, Start(Path("a.ckpt"), "run"))
    monkeypatch.setattr("src.training.start.read_state", lambda path: {"step": 1, "total_steps": 7})
    assert stored_length(config, Start(Path("a.ckpt"), "run")).total_steps == 7
