"""Positions of classes: all of few pixels, a sample of many, in whatever parts the mask is read."""
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from src.data import class_positions
from src.data.class_positions import sample_positions


def positions(classes, num_classes=3, most=10, parts=None, seed=0):
    bands = np.split(classes, parts or [])
    return sample_positions(lambda: iter(bands), num_classes, most, np.random.default_rng(seed))


def test_positions_by_hand():
    classes = np.array([[0, 2, 0], [255, 0, 2], [0, 0, 0]], np.uint8)      # 255 is ignored
    found = positions(classes)
    assert [places.tolist() for places in found] == [[1, 5]] and found[0].dtype == np.uint32
    assert positions(np.zeros((3, 3), np.uint8)) == []
    assert [places.tolist() for places in positions(np.eye(2, dtype=np.uint8))] == [[0, 3]]


@given(st.integers(0, 99), st.lists(st.integers(0, 20), max_size=3).map(sorted), st.integers(1, 40), st.integers(1, 64))
def test_positions_do_not_depend_on_the_parts(seed, parts, most, block):
    classes = np.random.default_rng(seed).integers(0, 4, (20, 7)).astype(np.uint8)
    whole = positions(classes, 4, most)
    counts = [(classes == number).sum() for number in (1, 2, 3)]
    assert [len(places) for places in whole] == [min(most, count) for count in counts if count]
    for number, places in zip([number for number in (1, 2, 3) if (classes == number).any()], whole):
        assert (classes.ravel()[places] == number).all()
    for found, expected in zip(positions(classes, 4, most, parts), whole):
        np.testing.assert_array_equal(found, expected)


def test_a_sample_is_spread_over_all_pixels():
    found, = positions(np.ones((100, 100), np.uint8), 2, 500)
    assert len(found) == 500 and np.bincount(found // 1000, minlength=10).min() > 25


def test_large_masks_are_looked_at_in_blocks(monkeypatch):
    """So that no array of the whole mask with 8 bytes a pixel is made."""
    seen = []
    monkeypatch.setattr(class_positions, "row_blocks", lambda band: seen.append(band.shape) or iter([band]))
    positions(np.ones((8, 8), np.uint8))
    assert seen == [(8, 8)] * 2
