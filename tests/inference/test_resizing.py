"""Resizing piece by piece is resizing the whole, as OpenCV does it."""
import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from src.inference.resizing import ResizedImage, RowResizer


@given(size=st.tuples(st.integers(1, 40), st.integers(1, 40)), target=st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_resized_image_is_that_of_opencv(size, target):
    """It differs by one gray level at most."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    resized = ResizedImage(image, target)
    found = resized[np.arange(target[0])[:, None], np.arange(target[1])]
    assert resized.shape == (*target, 3) == found.shape and found.dtype == np.uint8
    assert np.abs(found.astype(int) - cv2.resize(image, target[::-1])).max() <= 1


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
