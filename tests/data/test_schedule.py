"""Steps of a run, and which samples they take."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.schedule import Schedule, make_schedule
from src.model_utils.errors import UNetError


@pytest.mark.parametrize("samples, repeat, epochs, batch, steps, total", [
    (24, 400, 1, 16, 600, 600),       # the published ISBI run
    (24, 1, 400, 12, 2, 800),         # on a GPU
    (536, 10, 20, 16, 335, 6700),     # nuclei
    (5, 1, 3, 2, 2, 6)])
def test_steps(samples, repeat, epochs, batch, steps, total):
    schedule = Schedule(samples, repeat, epochs, batch)
    assert (schedule.steps_per_epoch, schedule.total_steps) == (steps, total)


def test_arithmetic_of_the_model_zoo():
    assert make_schedule(24, 400, 400, 16).total_steps == 600
    assert make_schedule(24, 1600, 400, 16, group_size=8).total_steps == 300
    assert make_schedule(24, 1600, 400, 3, group_size=8).steps_per_epoch == 400
    assert make_schedule(24, 799, 400, 16) == make_schedule(24, 400, 400, 16)


def test_epochs_that_make_no_step():
    with pytest.raises(UNetError, match="distribute_epochs 100 is less than repeat 400"):
        make_schedule(24, 100, 400, 16, option="distribute_epochs")


def test_batch_larger_than_the_data():
    with pytest.raises(UNetError, match="a batch of 16 is larger than the 10 training samples times repeat 1"):
        Schedule(10, 1, 1, 16)
    with pytest.raises(UNetError, match="on 4 ranks"):
        Schedule(10, 1, 1, 4, 4)


def test_epoch_and_step():
    schedule = Schedule(5, 1, 3, 2)
    assert [schedule.epoch_and_step(done) for done in range(1, 7)] == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]


def test_positions_drop_the_remainder_of_an_epoch():
    schedule = Schedule(5, 1, 3, 2)
    assert [list(schedule.positions(step)) for step in range(6)] == [[0, 1], [2, 3], [5, 6], [7, 8], [10, 11], [12, 13]]


schedules = st.builds(Schedule, samples=st.integers(8, 40), repeat=st.integers(1, 5), epochs=st.integers(1, 3),
                      batch_size=st.integers(1, 2), group_size=st.integers(1, 4))


@given(schedules)
def test_ranks_share_without_overlap(schedule):
    seen = [position for step in range(schedule.total_steps) for rank in range(schedule.group_size)
            for position in schedule.positions(step, rank)]
    assert len(seen) == len(set(seen)) == schedule.total_steps * schedule.batch_size * schedule.group_size
    per_epoch = schedule.samples * schedule.repeat
    dropped = schedule.epochs * per_epoch - len(seen)
    assert dropped < schedule.epochs * schedule.batch_size * schedule.group_size
    assert max(seen) < schedule.epochs * per_epoch


@given(schedules, st.integers(0, 1000))
def test_ranks_together_take_what_one_larger_process_takes(schedule, step):
    step %= schedule.total_steps
    one = Schedule(schedule.samples, schedule.repeat, schedule.epochs, schedule.batch_size * schedule.group_size)
    together = [position for rank in range(schedule.group_size) for position in schedule.positions(step, rank)]
    assert together == list(one.positions(step))
