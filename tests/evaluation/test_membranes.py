"""Membranes without gaps."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from src.evaluation.isbi_metrics import BoardMetrics
from src.evaluation.membranes import _levels, close_membranes, contours


def two_cells(gap, membrane=0.1):
    """(40, 60) with a membrane between two cells, which has a gap of some pixels."""
    probability = np.full((40, 60), 0.95, np.float32)
    probability[:, 29:32] = membrane
    probability[20:20 + gap, 29:32] = 0.95
    return probability


def test_a_gap_is_closed():
    """The membrane's level is the mean along it: 36 of 40 rows are a membrane of 0.9, four a gap of 0.05."""
    closed = close_membranes(two_cells(4))
    assert closed.dtype == np.float32 and closed.shape == (40, 60)
    level = 1 - closed[closed < 1]
    assert np.ptp(level) == 0 and level[0] == pytest.approx((36 * 0.9 + 4 * 0.05) / 40, abs=0.04)
    assert ndimage.label(closed > 0.5)[1] == 2 and ndimage.label(two_cells(4) > 0.5)[1] == 1
    assert [ndimage.label(closed > 1 - level[0] + step)[1] for step in (0.01, -0.01)] == [2, 1]


def test_the_board_sees_two_cells():
    label = np.ones((40, 60), np.uint8)
    label[:, 30] = 0
    scores = {}
    for name, close in (("open", False), ("closed", True)):
        board = BoardMetrics()
        board.add(label, contours(close)(two_cells(4)))
        scores[name] = board.best()["V_rand"].value
    assert scores["closed"] > 0.98 and scores["open"] < 0.7


def test_levels_by_hand():
    """A chain of four basins; the weakest border goes first, and what it held apart is one region with one mean.

    Borders 0-1 of 2 pairs with mean 0.5, 1-2 of 1 with 0.2, 0-2 of 2 with 0.1, 2-3 of 4 with 0.4. First 0 and 2 are
    merged, at 0.1; then the border of 0 and 1 has the mean (1.0 + 0.2) / 3 = 0.4, as that to 3; both go at 0.4.
    """
    borders, means, pairs = [[0, 1], [1, 2], [0, 2], [2, 3]], np.array([0.5, 0.2, 0.1, 0.4]), np.array([2, 1, 2, 4])
    np.testing.assert_allclose(_levels(borders, means * pairs, pairs), [0.4, 0.4, 0.1, 0.4])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2 ** 31), st.tuples(st.integers(1, 40), st.integers(1, 40)), st.floats(0.1, 0.9))
def test_regions_of_higher_thresholds_lie_in_those_of_lower_ones(seed, size, threshold):
    """And all of it stays between 0 and 1, whatever the probability is."""
    probability = ndimage.gaussian_filter(np.random.default_rng(seed).random(size), 1.5)
    probability = ((probability - probability.min()) / max(1e-6, np.ptp(probability))).astype(np.float32)
    closed = close_membranes(probability)
    assert closed.min() >= 0 and closed.max() <= 1 and np.isfinite(closed).all()
    fine, coarse = (ndimage.label(closed > low)[0] for low in (threshold, threshold / 2))
    for number in range(1, fine.max() + 1):
        assert len(np.unique(coarse[fine == number])) == 1


@pytest.mark.parametrize("value", [0, 0.3, 1])
def test_a_slice_of_one_value_is_one_cell(value):
    assert (close_membranes(np.full((9, 7), value, np.float32)) == 1).all()
