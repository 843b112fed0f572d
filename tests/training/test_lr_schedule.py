"""Learning rate over the run, by hand-computed values."""
import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from src.training.lr_schedule import WarmupCosine, build_learning_rate, learning_rates


def rate(schedule, step):
    return float(schedule(Tensor(step, ms.int32)).asnumpy())


def test_cosine():
    schedule = WarmupCosine(0.4, total_steps=8, min_lr=0.1)
    assert rate(schedule, 0) == pytest.approx(0.4)
    assert rate(schedule, 2) == pytest.approx(0.1 + 0.15 * (1 + 0.5 ** 0.5))
    assert rate(schedule, 4) == pytest.approx(0.25)
    assert rate(schedule, 8) == rate(schedule, 100) == pytest.approx(0.1)


def test_warm_up():
    schedule = WarmupCosine(0.4, total_steps=12, warmup_steps=4)
    rates = [rate(schedule, step) for step in (0, 1, 3, 4, 8, 12)]
    assert rates == pytest.approx([0.1, 0.2, 0.4, 0.4, 0.2, 0.0], abs=1e-7)


def test_build():
    assert build_learning_rate("constant", 0.25, 10) == 0.25
    schedule = build_learning_rate("cosine", 0.25, 10, warmup_steps=5)
    assert rate(schedule, 4) == pytest.approx(0.25)


def test_rates_of_all_steps_are_those_that_adam_gets():
    np.testing.assert_array_equal(learning_rates(0.25, 3), np.full(3, 0.25, np.float32))
    schedule = build_learning_rate("cosine", 0.25, 10, warmup_steps=5, min_lr=0.01)
    adam = nn.Adam([Parameter(Tensor([1.0]), name="x")], learning_rate=schedule)
    rates = learning_rates(schedule, 10)
    assert rates.shape == (10,) and rates.tolist() == [rate(adam.learning_rate, step) for step in range(10)]
