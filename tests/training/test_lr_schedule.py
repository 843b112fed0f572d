"""Learning rate over the run, by hand-computed values."""
import mindspore as ms
import pytest
from mindspore import Parameter, Tensor, nn

from src.model_utils.errors import UNetError
from src.training.lr_schedule import WarmupCosine, build_learning_rate, rate_of_step


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


@pytest.mark.parametrize("options, words", [
    (("constant", 0.25, 10, 5), "warmup_steps is 5, but lr_schedule is constant"),
    (("constant", 0.25, 10, 0, 0.1), "min_lr is 0.1, but lr_schedule is constant"),
    (("cosine", 0.25, 10, 11), "warmup_steps is 11, but the run has only 10 steps"),
    (("cosine", 0.25, 10, 0, 0.5), "min_lr 0.5 is above lr 0.25")])
def test_schedules_that_cannot_be(options, words):
    with pytest.raises(UNetError, match=words):
        build_learning_rate(*options)


def test_warm_up_to_the_end_and_a_level_schedule():
    assert rate(build_learning_rate("cosine", 0.25, 10, 10), 9) == pytest.approx(0.25)
    assert rate(build_learning_rate("cosine", 0.25, 10, 0, 0.25), 5) == pytest.approx(0.25)


def test_rates_of_all_steps_are_those_that_adam_gets(monkeypatch):
    monkeypatch.setattr("src.training.lr_schedule.BLOCK", 4)
    assert [rate_of_step(0.25)(step) for step in range(3)] == [0.25] * 3
    schedule = build_learning_rate("cosine", 0.25, 10, warmup_steps=5, min_lr=0.01)
    adam = nn.Adam([Parameter(Tensor([1.0]), name="x")], learning_rate=schedule)
    assert list(map(rate_of_step(schedule), range(10))) == [rate(adam.learning_rate, step)
                                                                    for step in range(10)]
