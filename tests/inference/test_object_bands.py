"""Objects of bands are those of the whole page."""
import tempfile

import numpy as np
import pytest
from scipy import ndimage

from src.evaluation.object_metrics import overlaps
from src.evaluation.objects import ObjectOptions, find_objects, without_rim
from src.inference.object_bands import FEWEST_ROWS, ObjectBands


def picture(height, width, count, radius=9):
    """(H, W, 2) float32 probabilities of round objects, many of which touch."""
    rng = np.random.default_rng(0)
    away = np.ones((height, width))
    away[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    near = ndimage.distance_transform_edt(away) < radius
    foreground = ndimage.gaussian_filter(near.astype(np.float32), 1.5)
    return np.stack([1 - foreground, foreground], axis=-1)


def in_bands(probabilities, options, has_rim=False, parts=7):
    """(labels, PageObjects, the rows that were passed on)."""
    with tempfile.TemporaryFile() as file:
        bands = ObjectBands(probabilities.shape[:2], options, has_rim, file, FEWEST_ROWS)
        passed = np.concatenate(list(bands.watch(np.array_split(probabilities, parts))))
        found = bands.objects
        return found.labels(0, len(probabilities)), found, passed


def test_components_are_exactly_those_of_the_page():
    probabilities = picture(1900, 60, 170)
    probabilities[:, 30, :] = 0, 1      # an object of the page's whole height, through all seams
    options = ObjectOptions(split="components", fill_holes=False, min_size=30, min_probability=0.85)
    labels, found, passed = in_bands(probabilities, options)
    whole = find_objects(probabilities, options)
    counts = overlaps(whole.labels, labels).counts(0.5)
    assert (counts.fp, counts.fn, counts.iou_sum) == (0, 0, counts.tp) and counts.tp == len(found.areas) > 20
    assert np.array_equal(np.bincount(labels.ravel())[1:], found.areas)
    np.testing.assert_array_equal(passed, probabilities)


def test_watershed_agrees_with_that_of_the_page():
    probabilities = picture(1900, 120, 330)
    labels, found, _ = in_bands(probabilities, ObjectOptions())
    counts = overlaps(find_objects(probabilities, ObjectOptions()).labels, labels).counts(0.9)
    assert (counts.fp, counts.fn) == (0, 0) and counts.tp == len(found.areas) > 150
    means = ndimage.mean(probabilities[..., 1], labels, range(1, len(found.areas) + 1))
    np.testing.assert_allclose(found.probabilities, means, rtol=1e-5)


def test_rim_becomes_foreground():
    foreground = picture(900, 50, 60)[..., 1]
    interior = foreground * (foreground > 0.9)
    probabilities = np.stack([1 - foreground, interior, foreground - interior], axis=-1)
    labels, _, passed = in_bands(probabilities, ObjectOptions(), has_rim=True)
    np.testing.assert_array_equal(passed, without_rim(probabilities))
    whole = find_objects(without_rim(probabilities), ObjectOptions(), interior)
    counts = overlaps(whole.labels, labels).counts(0.9)
    assert (counts.fp, counts.fn) == (0, 0) and counts.tp > 10


@pytest.mark.parametrize("height", [1, FEWEST_ROWS - 1, FEWEST_ROWS, FEWEST_ROWS + 1, FEWEST_ROWS + 300])
def test_pages_of_any_height_and_without_objects(height):
    probabilities = np.zeros((height, 3, 3), np.float32)
    probabilities[..., 0] = 1
    labels, found, _ = in_bands(probabilities, ObjectOptions(), parts=1)
    assert labels.shape == (height, 3) and not labels.any() and len(found.areas) == 0
    probabilities[height // 2, 1] = 0, 0, 1
    labels, found, _ = in_bands(probabilities, ObjectOptions(), parts=1)
    assert found.classes.tolist() == [2] and found.areas.tolist() == [1] and labels[height // 2, 1] == 1


@pytest.mark.parametrize("height", [60, FEWEST_ROWS, FEWEST_ROWS + 300])
def test_objects_are_known_with_the_last_rows(height):
    """Whoever takes the rows knows how many a page has, and may not ask for more."""
    probabilities = picture(height, 50, 20)
    with tempfile.TemporaryFile() as file:
        bands = ObjectBands(probabilities.shape[:2], ObjectOptions(), False, file, FEWEST_ROWS)
        rows = bands.watch(np.array_split(probabilities, 3))
        for _ in range(3):
            next(rows)
        assert len(bands.objects.areas) == find_objects(probabilities, ObjectOptions()).labels.max() > 0
