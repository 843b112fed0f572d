"""The loop over the steps: what it measures."""
import time
from pathlib import Path

import mindspore as ms
import pytest

from src.data.schedule import Schedule
from src.model_utils.ranks import Ranks
from src.networks.dropout import DropoutKeys
from src.training.trainer import Trainer


class SlowNetwork(ms.nn.Cell):
    """A step of 20 ms."""

    def __call__(self, images, labels):
        time.sleep(0.02)
        return ms.Tensor(0.5)


def test_the_time_of_a_step_includes_the_wait_for_its_batch():
    network = SlowNetwork()
    trainer = Trainer(network, Schedule(3, 1, 1, 1), [], {}, Path(), DropoutKeys(network, 1), Ranks())

    def batches():
        for seconds in (0.2, 0.0, 0.1):
            time.sleep(seconds)
            yield None, None
            seen.append((trainer.wait_seconds, trainer.step_seconds))

    seen = []
    trainer.run(batches(), lambda: False)
    seen.append((trainer.wait_seconds, trainer.step_seconds))
    for (waited, whole), expected in zip(seen, (0.2, 0.0, 0.1)):
        assert expected <= waited <= whole - 0.02
    assert trainer.step == 3 and trainer.loss == pytest.approx(0.5)
