"""enable_profiling, with MindSpore's own profiler; what a whole run writes is seen in test_modelarts.py."""
import json
from types import SimpleNamespace

import numpy as np
import pytest
from mindspore import Tensor, nn

from src.training.callbacks.profiler import STEPS, WARM_UP, StepProfiler


def go(profiler, steps, work):
    """Steps as the Trainer has them."""
    trainer = SimpleNamespace(step=10, finished=False)      # a resumed run: after step 10
    for done in range(1, steps + 1):
        work()
        trainer.step, trainer.finished = 10 + done, done == steps
        profiler.on_step_end(trainer)
        profiler.on_save(trainer)
    profiler.on_train_end(trainer)


@pytest.fixture(autouse=True)
def messages(caplog):
    caplog.set_level("INFO", "unet")
    return caplog


@pytest.mark.slow
def test_profile_of_a_few_steps(tmp_path, messages):
    cell, image = nn.ReLU(), Tensor(np.ones((1, 1, 8, 8), np.float32))
    go(StepProfiler(tmp_path, "CPU"), WARM_UP + STEPS + 3, lambda: cell(image).asnumpy())
    made, = tmp_path.iterdir()
    assert messages.messages == [f"profile of the steps 13 to 15 of the run: {made}"]
    events = json.loads((made / "ASCEND_PROFILER_OUTPUT" / "trace_view.json").read_text())
    # ReLU in eager mode, Default/ReLU-op0 in graph mode.
    assert sum("ReLU" in event["name"] for event in events) == STEPS


def test_a_run_that_is_too_short(tmp_path, messages):
    go(StepProfiler(tmp_path / "none", "CPU"), WARM_UP, lambda: None)
    assert messages.messages == ["WARNING: nothing was profiled; the run had 2 steps, and the first 2 are left out"]
    assert not (tmp_path / "none").exists()


def test_a_profile_that_was_not_written(tmp_path, messages, monkeypatch):
    monkeypatch.setattr("src.training.callbacks.profiler.profile",
                        lambda **_: SimpleNamespace(start=lambda: None, stop=lambda: None))
    go(StepProfiler(tmp_path, "Ascend"), WARM_UP + STEPS, lambda: None)
    assert messages.messages == [f"WARNING: MindSpore wrote no profile into {tmp_path}; GLOG_v=2 shows its log"]
