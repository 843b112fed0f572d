"""V_rand and V_info: hand-computed cases, properties, and the command line."""
import sys

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.metrics import variation_of_information

import isbi_score
from src.data.stacks import read_stack
from src.evaluation.isbi_metrics import THRESHOLDS, BoardMetrics, segments, v_rand_info
from src.evaluation.objects import COMPONENTS, ObjectOptions, find_objects
from tests.support.scripts import assert_one_line_error

LN2, LN6 = np.log(2), np.log(6)


def score(label, probability):
    """name -> BestThreshold of one slice of one row."""
    metrics = BoardMetrics()
    metrics.add(np.array([label], np.uint8), np.array([probability], np.float32))
    return metrics.best()


def compare(label, proposed):
    """(V_rand, V_info) of two rows of zeros and ones."""
    cells = ndimage.label(np.array([label]))[0]
    return v_rand_info(cells, segments(np.array([proposed], bool)))


# ---- by hand


def test_merged_cells_by_hand():
    """Both halves in one segment: 2 (1/4 + 1/4) / (1 + 1/2); one segment says nothing about the cells."""
    assert compare([1, 1, 0, 1, 1], [1, 1, 1, 1, 1]) == (pytest.approx(2 / 3), 0)


def test_a_split_cell_by_hand():
    """The first cell falls into a pixel, a line and a pixel, 1/6 each: sums of squares 1/3 against 1/2."""
    rand, info = compare([1, 1, 1, 0, 1, 1, 1], [1, 0, 1, 0, 1, 1, 1])
    assert rand == pytest.approx(2 * (1 / 3) / (1 / 3 + 1 / 2))
    assert info == pytest.approx(2 * LN2 / (LN2 + LN6 / 2 + LN2 / 2))


def test_each_pixel_of_a_line_is_a_segment_of_its_own():
    """One cell of 10 pixels, cut by two lines of one pixel each: 1/5, 1/10, 1/5, 1/10, 2/5."""
    rand, info = compare([1] * 10, [1, 1, 0, 1, 1, 0, 1, 1, 1, 1])
    assert rand == pytest.approx(2 * 0.26 / (0.26 + 1)) and info == 0
    lines = segments(np.array([[1, 1, 0, 1, 1]] * 3, bool))
    np.testing.assert_array_equal(lines, [[1, 1, 3, 2, 2], [1, 1, 4, 2, 2], [1, 1, 5, 2, 2]])


def test_a_shifted_border_by_hand():
    """Cells of 3 and 3 pixels, proposed as 2, a line and 3 on two cells: all shares by hand."""
    rand, info = compare([1, 1, 1, 0, 1, 1, 1], [1, 1, 0, 1, 1, 1, 1])
    # In the table: 2/6 and 1/6 (the line) of the first cell, 3/6 of the second one.
    assert rand == pytest.approx(2 * (14 / 36) / (14 / 36 + 1 / 2))
    true, found = LN2, np.log(3) / 3 + LN6 / 6 + LN2 / 2
    assert info == pytest.approx(2 * true / (true + found))     # the proposal is finer, so it knows all of the cells


def test_membranes_are_thinned():
    """However wide a membrane is, cells grow until one pixel is left; where there is none, to the border."""
    assert segments(np.array([[1, 0, 0, 0, 0, 0, 1]], bool)).tolist() == [[1, 1, 1, 3, 2, 2, 2]]
    assert segments(np.array([[0, 0, 1, 0, 1, 0, 0]], bool)).tolist() == [[1, 1, 1, 3, 2, 2, 2]]
    assert np.unique(segments(np.array([[1, 0, 0, 0, 0, 1]], bool))).tolist() == [1, 2, 3]
    assert compare([1, 0, 0, 0, 0, 0, 1], [1, 1, 1, 0, 1, 1, 1]) == pytest.approx((1, 1))
    assert compare([1, 1, 1, 0, 1, 1, 1], [1, 0, 0, 0, 0, 0, 1]) == pytest.approx((1, 1))


def test_corners_do_not_connect():
    proposed = np.array([[1, 0], [0, 1]], bool)
    assert len(np.unique(segments(proposed))) == 4      # two cells and a line of two pixels
    label = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    metrics = BoardMetrics()
    metrics.add(label, np.ones((4, 4)))
    assert metrics.best()["V_rand"].value == pytest.approx(2 / 3)       # two cells, merged


def test_the_best_threshold_divides_the_cells():
    """0.5 between cells of 0.9 divides them from the threshold 0.5 on, below which all is one cell."""
    best = score([1, 1, 0, 1, 1], [0.9, 0.9, 0.5, 0.9, 0.9])
    assert {name: (found.value, found.threshold) for name, found in best.items()} == {
        "V_rand": (pytest.approx(1), 0.5), "V_info": (pytest.approx(1), 0.5)}
    # 0.95 is cell by all thresholds but the last one, which asks for a membrane probability of 0.
    assert score([1, 1, 0, 1, 1], [1, 1, 0.95, 1, 1])["V_rand"].threshold == 0
    assert len(THRESHOLDS) == 11 and THRESHOLDS[0] == 0 and 1 - 1e-9 < THRESHOLDS[10] < 1


def test_the_mean_over_slices_comes_before_the_best():
    """Each slice is perfect at thresholds of its own, and merged at the others'; no threshold is good for both."""
    metrics = BoardMetrics()
    low, high = [0.25, 0.25, 0, 0.25, 0.25], [1, 1, 0.75, 1, 1]
    for probability in (low, high):
        metrics.add(np.array([[1, 1, 0, 1, 1]]), np.float32([probability]))
    assert score([1, 1, 0, 1, 1], low)["V_rand"].value == score([1, 1, 0, 1, 1], high)["V_rand"].value == 1
    assert metrics.best()["V_rand"].value == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.best()["V_info"].value == pytest.approx(1 / 2)

@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_a_label_image_of_cells_scores_as_the_board_does(threshold):
    """Objects of class 1, cells between membranes, as connected components, against the board's own way."""
    rng = np.random.default_rng(3)
    distance = ndimage.distance_transform_edt(rng.random((80, 80)) > 0.004)
    cells = ndimage.label(distance < 4.5)[0]        # discs around random points, some of which touch
    probability = np.clip(1 / (1 + np.exp(distance - 5)) + rng.normal(0, 0.1, cells.shape), 0, 1).astype(np.float32)
    options = ObjectOptions(threshold, COMPONENTS, 5, 0.5, fill_holes=False, min_size=0)
    labels = find_objects(np.stack([1 - probability, probability], axis=-1), options).labels
    metrics = BoardMetrics()
    metrics.add(cells, probability)
    number = int(np.argmin(np.abs(np.array(THRESHOLDS) - threshold)))
    assert labels.max() == ndimage.label(probability > threshold)[1] > 5
    assert v_rand_info(cells, segments(labels > 0)) == (metrics.rand[0][number], metrics.info[0][number])


# ---- where there is little to compare


def test_one_cell_carries_no_information():
    assert compare([1, 1, 1], [1, 1, 1]) == (1, 1)      # no entropy on either side, and they agree
    assert compare([1, 1, 1, 1], [1, 0, 1, 1])[1] == 0      # the label carries none


def test_a_proposal_without_cells_is_one_segment():
    assert compare([1, 1, 0, 1, 1], [0, 0, 0, 0, 0]) == compare([1, 1, 0, 1, 1], [1, 1, 1, 1, 1])
    best = score([1, 1, 0, 1, 1], [0, 0, 0, 0, 0])
    assert best["V_rand"].value == pytest.approx(2 / 3) and best["V_info"].value == 0


def test_slices_without_cells_are_left_out():
    metrics = BoardMetrics()
    metrics.add(np.zeros((3, 3)), np.ones((3, 3)))
    assert metrics.best() == {}
    metrics.add(np.array([[1, 0, 1]]), np.float32([[1, 0, 1]]))
    assert metrics.best()["V_rand"].value == 1


# ---- properties


def partition(seed, size=12, cells=5):
    """Return (size, size) numbers from 1 to ``cells``, each of them at least once."""
    numbers = np.random.default_rng(seed).integers(1, cells + 1, (size, size))
    numbers.flat[:cells] = range(1, cells + 1)
    return numbers


def with_background(cells, seed):
    """Set some pixels to 0, between the cells, but keep at least one pixel of each cell."""
    outside = np.random.default_rng(seed).random(cells.shape) < 0.3
    outside.flat[:cells.max()] = False
    return np.where(outside, 0, cells)


@given(st.integers(0, 2**32 - 1), st.integers(2, 20), st.floats(0.05, 0.95))
def test_a_perfect_proposal_scores_1(seed, size, density):
    label = np.random.default_rng(seed).random((size, size)) < density
    label[0, 0] = True
    metrics = BoardMetrics()
    metrics.add(label, label.astype(np.float32))
    assert [best.value for best in metrics.best().values()] == pytest.approx([1, 1])


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6))
def test_scores_are_those_of_pairs_of_pixels_and_of_scikit_image(seed, true, found):
    cells, proposed = with_background(partition(seed, cells=true), seed), partition(seed + 1, cells=found)
    rand, info = v_rand_info(cells, proposed)
    a, b = cells[cells > 0], proposed[cells > 0]
    same_cell, same_segment = a[:, None] == a, b[:, None] == b
    assert rand == pytest.approx(2 * (same_cell & same_segment).sum() / (same_cell.sum() + same_segment.sum()))
    splits_and_merges = variation_of_information(a, b)
    alone = [sum(variation_of_information(part, np.ones_like(part))) for part in (a, b)]
    assert info == pytest.approx(1 - sum(splits_and_merges) / sum(alone) if sum(alone) else 1)
    assert 0 <= rand <= 1 and -1e-9 <= info <= 1 + 1e-9


@given(st.integers(0, 2**32 - 1))
def test_numbers_of_cells_do_not_matter(seed):
    cells, proposed = with_background(partition(seed), seed), partition(seed + 1)
    names = np.append(0, np.random.default_rng(seed).permutation(np.arange(1, 40)))
    assert v_rand_info(names[cells], names[proposed]) == pytest.approx(v_rand_info(cells, proposed))


@given(st.integers(0, 2**32 - 1), st.integers(3, 8))
def test_one_merge_and_one_split_lower_both(seed, count):
    cells = with_background(partition(seed, cells=count), seed)
    merged = np.where(cells == 2, 1, cells)
    split = cells.copy()
    first = np.flatnonzero(cells == 3)
    split.flat[first[:len(first) // 2]] = count + 1
    assert v_rand_info(cells, cells) == pytest.approx((1, 1))
    assert max(v_rand_info(cells, merged)) < 1 - 1e-6
    if len(first) > 1:
        assert max(v_rand_info(cells, split)) < 1 - 1e-6
        # A second error lowers them further.
        assert np.all(np.array(v_rand_info(cells, np.where(split == 2, 1, split))) < v_rand_info(cells, merged))


# ---- the real labels


def test_perfect_on_the_real_labels(isbi):
    metrics = BoardMetrics()
    for label in read_stack(isbi / "train-labels.tif"):
        metrics.add(label, label / np.float32(255))
    assert np.shape(metrics.rand) == np.shape(metrics.info) == (30, 11)
    np.testing.assert_allclose(metrics.rand, 1)
    np.testing.assert_allclose(metrics.info, 1)


# ---- the command line


@pytest.fixture
def stacks(tmp_path):
    """Labels of 2 slices, and their probabilities with the membrane of the second one missing."""
    labels = np.zeros((2, 6, 7), np.uint8)
    labels[:, :, :3] = labels[:, :, 4:] = 255
    cells = np.where(labels, np.float32(0.875), np.float32(0.25))
    cells[1] = 0.875
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    tifffile.imwrite(tmp_path / "cells.tif", cells, photometric="minisblack", compression="zlib", metadata=None)
    tifffile.imwrite(tmp_path / "membrane.tif", 1 - cells, photometric="minisblack")
    return tmp_path


# The first slice is perfect, the second one merged.
LINES = "V_rand: 0.833333, threshold of the membrane probability: 0.7\n" \
        "V_info: 0.500000, threshold of the membrane probability: 0.7\n"


def test_the_command_line_prints_both_metrics(run, stacks):
    result = run("isbi_score.py", stacks / "labels.tif", stacks / "cells.tif")
    assert (result.returncode, result.stdout, result.stderr) == (0, LINES, "")


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["isbi_score.py", *map(str, arguments)])
    return isbi_score.main()


def test_probabilities_of_the_membrane(monkeypatch, capsys, stacks):
    assert call(monkeypatch, stacks / "labels.tif", stacks / "membrane.tif", "--membrane") == 0
    assert capsys.readouterr().out == LINES


def test_labels_of_0_and_1(monkeypatch, capsys, stacks):
    tifffile.imwrite(stacks / "labels.tif", read_stack(stacks / "labels.tif") // 255, photometric="minisblack")
    assert call(monkeypatch, stacks / "labels.tif", stacks / "cells.tif") == 0
    assert capsys.readouterr().out == LINES


def bad(stacks, name, change):
    """Change a stack in its file."""
    stack = tifffile.imread(stacks / name)
    tifffile.imwrite(stacks / name, change(stack), photometric="minisblack")


@pytest.mark.parametrize("name, change, parts", [
    ("cells.tif", lambda stack: stack[:1], ["2 pages of 7x6", "1 pages of 7x6", "must agree"]),
    ("cells.tif", lambda stack: stack[:, :5], ["7x6", "7x5", "must agree"]),
    ("cells.tif", lambda stack: stack * 255, ["cells.tif: values from 63.75 to 223.125", "0 to 1"]),
    ("cells.tif", lambda stack: stack - 1, ["cells.tif: values from -0.75 to -0.125"]),
    ("cells.tif", lambda stack: np.where(stack > 0.5, stack, np.float32("nan")), ["cells.tif", "nan", "0 to 1"]),
    ("cells.tif", lambda stack: stack.astype(np.float64), ["cells.tif", "float64", "32-bit float"]),
    ("cells.tif", lambda stack: np.uint8(stack * 255), ["cells.tif", "uint8", "32-bit float"]),
    ("labels.tif", np.zeros_like, ["labels.tif: all pixels are membrane"]),
    ("labels.tif", lambda stack: np.full_like(stack, 255), ["labels.tif: all pixels are cells"]),
    ("labels.tif", lambda stack: stack // 2, ["labels.tif: label values [0, 127]"]),
    ("labels.tif", lambda stack: stack.astype(np.float32), ["labels.tif", "float32", "8-bit gray"]),
])
def test_stacks_that_do_not_fit_are_errors(monkeypatch, capsys, stacks, name, change, parts):
    bad(stacks, name, change)
    status = call(monkeypatch, stacks / "labels.tif", stacks / "cells.tif")
    found = capsys.readouterr()
    assert status == 2 and found.out == "" and found.err.startswith("error: ") and found.err.count("\n") == 1
    assert all(part in found.err for part in parts), found.err


def test_missing_and_broken_files_are_errors(run, monkeypatch, capsys, stacks):
    assert_one_line_error(run("isbi_score.py", stacks / "labels.tif", stacks / "none.tif"), "no such stack",
                          "none.tif", "TIFF file of many pages")
    for name in ("labels.tif", "cells.tif"):
        data = (stacks / name).read_bytes()
        for broken in (data[:len(data) // 2], b"", b"not a picture"):
            (stacks / name).write_bytes(broken)
            assert call(monkeypatch, stacks / "labels.tif", stacks / "cells.tif") == 2
            error = capsys.readouterr().err
            assert error.startswith(f"error: {stacks / name}: ") and error.count("\n") == 1
        (stacks / name).write_bytes(data)
    with pytest.raises(SystemExit, match="2"):
        call(monkeypatch, stacks / "labels.tif")
