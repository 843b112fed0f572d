"""What the trial steps of --minutes say about the steps of the run."""
import pytest

from src.training.trial import StepTimes, with_memory

COLD, WARM = StepTimes(first=3, each=1, count=10), StepTimes(first=0.1, each=0.6, count=10)


@pytest.mark.parametrize("cold, warm, share, reading, start, step", [
    (COLD, WARM, 1, 30, 3 + 20 * 0.4, 0.6),         # 20 steps are still to read from files
    (COLD, WARM, 1, 5, 3, 0.6), (COLD, WARM, 0.5, 30, 3 + 20 * 0.2, 0.8), (COLD, WARM, 0, 30, 3, 1),
    (WARM, COLD, 1, 30, 0.1, 0.6)])                 # noise
def test_later_steps_find_their_images_in_memory(cold, warm, share, reading, start, step):
    assert with_memory(cold, warm, share, reading) == pytest.approx((start, step))
