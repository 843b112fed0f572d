"""Segmentations of COCO: run-length codes, and what is none."""
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coder

from src.data.preparation.coco import draw_instances
from src.data.preparation.coco_annotations import Instance
from tests.support.alarm import in_time
from tests.support.coco import area, runs


@given(st.lists(st.integers(1, 5), max_size=6), st.integers(0, 2**32 - 1))
def test_the_first_instance_at_a_pixel_gives_its_class(picture, numbers, seed):
    rng = np.random.default_rng(seed)
    masks = [(rng.random((9, 14)) < 0.3).astype(np.uint8) for _ in numbers]
    instances = [(Instance(str(index), "", runs(mask)), number)
                 for index, (number, mask) in enumerate(zip(numbers, masks))]
    expected = np.zeros((9, 14), np.uint8)
    for number, mask in zip(numbers, masks):
        expected += (expected == 0) * mask * np.uint8(number)
    assert np.array_equal(draw_instances(picture, (9, 14), instances)[0][1], expected)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "x.png"
    Image.new("L", (14, 9)).save(path)
    return path


@given(st.integers(1, 40), st.integers(1, 60), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_compressed_codes_are_read(height, width, density, seed):
    mask = np.random.default_rng(seed).random((height, width)) < density
    text = coder.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert np.array_equal(area({"size": [height, width], "counts": text}, height, width), mask)


@given(st.text(st.characters(min_codepoint=40, max_codepoint=130), max_size=30))
def test_damaged_codes_are_refused_or_read(text):
    with suppress(ValueError):
        assert area({"size": [20, 30], "counts": text}, 20, 30).shape == (20, 30)


@pytest.mark.parametrize("segmentation", [
    None, "x", [], [[]], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5, 6, 7]], [["a"] * 6], [[float("nan")] * 6], [[1e12] * 6],
    [1, 2, 3, 4, 5, 6], {}, {"size": [20, 30]}, {"size": [30, 20], "counts": [600]}, {"size": [20, 30], "counts": None},
    {"size": [20, 30], "counts": [599]}, {"size": [20, 30], "counts": [-1, 601]},
    {"size": [20, 30], "counts": [0.5] * 1200},
])
def test_what_is_no_segmentation(segmentation):
    with pytest.raises((ValueError, TypeError, KeyError)):
        area(segmentation, 20, 30)


@pytest.mark.parametrize("text", ["o" * 10**6, "0" * 10**6, "P" * 10**6])
def test_run_lengths_take_linear_time(text):
    with in_time(60), pytest.raises(ValueError, match="run-length code"):
        area({"size": [8, 9], "counts": text}, 8, 9)


@given(st.lists(st.lists(st.tuples(st.floats(-9, 40), st.floats(-9, 30)), min_size=3, max_size=9), min_size=1,
                max_size=4))
def test_polygons_are_drawn_as_pycocotools_draws_them(polygons):
    polygons = [[number for point in polygon for number in point] for polygon in polygons]
    expected = coder.decode(coder.merge(coder.frPyObjects(polygons, 20, 30)))
    assert np.array_equal(area(polygons, 20, 30), expected)


@pytest.mark.parametrize("polygons", [[[0, 0, 80, 80] * 100_000], [[0, 0, 80, 80, 0, 80]] * 100_000])
def test_lines_without_bounds(polygons):
    with in_time(10), pytest.raises(ValueError, match="outlines are more than 2960 pixels long"):
        area(polygons, 20, 20)


def test_many_parts_of_one_object():
    parts = [[x, y, x + 1, y, x + 1, y + 1, x, y + 1] for x in range(0, 400, 2) for y in range(0, 400, 2)]
    with in_time(10):
        assert area(parts, 400, 400).sum() == len(parts)


def test_many_objects_in_a_large_photograph(tmp_path):
    Image.new("L", (2000, 2000)).save(tmp_path / "x.png")
    instances = [(Instance(str(x), "", [[x, 5, x + 8, 5, x + 8, 9, x, 9]]), 1 + x % 2) for x in range(500)]
    tracemalloc.start()
    with in_time(30):
        (_, mask), _ = draw_instances(tmp_path / "x.png", None, instances, small_on_top=True)
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()
    assert np.count_nonzero(mask) == 507 * 4 and mask[5, 0] == 1
