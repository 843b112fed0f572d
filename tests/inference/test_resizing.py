"""Resizing piece by piece is resizing the whole, as OpenCV does it."""
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.inference.resizing import ROWS, ResizedImage, RowResizer


@given(size=st.tuples(st.integers(1, 40), st.integers(1, 40)), target=st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_resized_image_is_that_of_opencv(size, target):
    """It differs by one gray level at most."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    resized = ResizedImage(image, target)
    found = resized[np.arange(target[0])[:, None], np.arange(target[1])]
    assert resized.shape == (*target, 3) == found.shape and found.dtype == np.uint8
    assert np.abs(found.astype(int) - cv2.resize(image, target[::-1])).max() <= 1


class Counting:
    """An array that counts the rows that are asked for, once each time and the most at a time."""

    def __init__(self, image):
        self.image, self.shape, self.dtype = image, image.shape, image.dtype
        self.most = self.total = 0

    def __getitem__(self, index):
        rows = np.unique(index[0])
        self.most, self.total = max(self.most, np.ptp(rows) + 1), self.total + len(rows)
        return self.image[index]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_much_smaller_size_reads_few_rows_at_a_time(dtype):
    """Windows side by side, with mirrored borders, and one row of them below the other."""
    image = Counting(np.random.default_rng(0).integers(0, 256, (4000, 60, 2)).astype(dtype))
    expected = cv2.resize(image.image, (12, 800))
    resized = ResizedImage(image, (800, 12))
    for top in range(0, 800, 200):
        rows = np.abs(np.arange(top - 30, top + 200))
        for left in (0, 5):
            found = resized[rows[:, None], np.arange(left, left + 7)]
            np.testing.assert_allclose(found, expected[rows, left:left + 7], atol=1 if dtype == np.uint8 else 1e-3)
    assert image.most <= ROWS * 5 + 5
    assert image.total < 4 * 1.4 * 800      # two neighbours of each row, from two columns


@given(size=st.tuples(st.integers(1, 40), st.integers(1, 12)), target=st.tuples(st.integers(1, 40), st.integers(1, 12)),
       cuts=st.lists(st.integers(1, 9), min_size=1))
def test_resizing_row_by_row_is_resizing_the_whole(size, target, cuts):
    whole = np.random.default_rng(0).random((*size, 3), np.float32)
    resizer, parts, top = RowResizer(size, target), [], 0
    for cut in [*cuts, *[7] * 40]:
        if top < size[0]:
            parts.append(resizer.feed(whole[top:top + cut]))
            top += cut
    np.testing.assert_allclose(np.concatenate(parts), cv2.resize(whole, target[::-1]).reshape(*target, 3), atol=1e-4)
