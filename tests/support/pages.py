"""Pages of image files: numbers to write, and what is read of them."""
import numpy as np

from src.data.image_reader import open_pages

GRAY = np.arange(37 * 53, dtype=np.int64).reshape(37, 53)
STACK = (np.arange(5)[:, None, None] * 41 + GRAY).astype(np.uint8)
COLOUR = np.stack([STACK[0], 255 - STACK[0], STACK[0] // 2], axis=-1)


def read(path, how="stored"):
    """Read all pages, and check that reading them in bands gives the same."""
    with open_pages(path) as pages:
        whole = [getattr(page, how)() for page in pages]
        for page, array in zip(pages, whole):
            assert array.shape[:2] == (page.height, page.width)
            bands = [getattr(page, how)(top, min(top + 11, page.height)) for top in range(0, page.height, 11)]
            np.testing.assert_array_equal(np.concatenate(bands), array)
    return whole


def same(found, expected):
    """Assert that pages are equal, in their numbers and their type."""
    assert len(found) == len(expected)
    for own, other in zip(found, expected):
        assert own.dtype == other.dtype
        np.testing.assert_array_equal(own, other.reshape(own.shape))


def numbers(dtype, shape, seed):
    rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
