"""Metrics of objects: by hand, properties, and speed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from src.evaluation.object_metrics import THRESHOLDS, MatchCounts, overlaps
from src.evaluation.object_scores import ObjectScores
from src.model_utils.errors import UNetError


def row(*lengths_and_numbers):
    """(1, W) label image of runs: row((3, 0), (2, 1)) is 0 0 0 1 1."""
    return np.array([[number for length, number in lengths_and_numbers for _ in range(length)]])


def scores(*pairs):
    """ObjectScores of (true, predicted) label images."""
    result = ObjectScores()
    for index, (true, predicted) in enumerate(pairs):
        result.add(f"image {index}", overlaps(true, predicted))
    return result


# ---- by hand


def test_perfect():
    labels = row((2, 1), (1, 0), (3, 2), (1, 3))
    found = scores((labels, labels * 7))
    assert all(found.mean(threshold) == dict.fromkeys(found.mean(0.5), 1) for threshold in THRESHOLDS)
    assert found.mean_accuracy == found.pooled_mean_accuracy == 1 and found.count_error == 0


def test_empty():
    """Without objects on both sides an image counts as 1, with objects on one side as 0."""
    nothing, one = row((4, 0)), row((2, 0), (2, 1))
    assert scores((nothing, nothing)).mean(0.5) == dict.fromkeys(MatchCounts().metrics(), 1)
    for true, predicted in ((nothing, one), (one, nothing)):
        values = scores((true, predicted)).mean(0.5)
        assert np.isnan(values.pop("mean_iou"))
        assert set(values.values()) == {0}
    assert scores((nothing, one)).relative_count_error != scores((nothing, one)).relative_count_error   # NaN
    assert scores((np.zeros((0, 4), int), np.zeros((0, 4), int))).mean(0.5)["f1"] == 1


def test_merged():
    """True 6 and 3 pixels, predicted as one of 10: IoU 0.6 and 0.3."""
    found = overlaps(row((6, 1), (1, 0), (3, 2)), row((10, 5)))
    np.testing.assert_allclose(found.ious, [0.6, 0.3])
    assert found.counts(0.5) == MatchCounts(1, 0, 1, 0.6)
    assert found.counts(0.6).tp == 1 and found.counts(0.65).tp == 0
    assert found.merging().tolist() == [0] and found.divided().tolist() == []


def test_split():
    """One of 10 pixels is predicted as 6 and 4: one matches with 0.6; precision 1/2, recall 1."""
    found = scores((row((10, 1)), row((6, 1), (4, 2))))
    assert found.mean(0.5) == {"accuracy": 0.5, "precision": 0.5, "recall": 1, "f1": pytest.approx(2 / 3),
                               "mean_iou": 0.6, "panoptic_quality": pytest.approx(0.6 / 1.5)}
    assert found.mean(0.75)["accuracy"] == 0
    assert found.mean_accuracy == pytest.approx(0.5 * 3 / 10)       # at 0.5, 0.55 and 0.6
    assert (found.divided, found.merging) == ([1], [0])


def test_shifted():
    """A square of 10x10, moved by 2 pixels: IoU 80 / 120."""
    true, predicted = np.zeros((2, 20, 20), np.uint16)
    true[2:12, 2:12], predicted[2:12, 4:14] = 9, 4
    found = overlaps(true, predicted)
    assert found.ious.tolist() == [80 / 120]
    assert [found.counts(threshold).tp for threshold in THRESHOLDS] == 4 * [1] + 6 * [0]


def test_means_and_pooled_values_differ():
    """An image with one object missed, and one with three found: the mean accuracy is 1/2, the pooled one 3/4."""
    three = row((2, 1), (1, 0), (2, 2), (1, 0), (2, 3))
    found = scores((row((1, 1), (7, 0)), row((8, 0))), (three, three))
    assert found.mean(0.5)["accuracy"] == 0.5 and found.pooled(0.5)["accuracy"] == 0.75
    assert found.mean(0.5)["mean_iou"] == 1                 # the image without a match has none
    assert (found.count_error, found.relative_count_error) == (0.5, 0.5)
    assert found.metric("object_f1") == 0.5 and found.metric("object_accuracy") == 0.5
    assert found.as_dict()["per_image"][0]["mean_iou"] is None
    assert found.as_dict()["number"]["true"] == 4


def test_ties_at_one_half_match_once():
    """Two halves of an object have an IoU of exactly 0.5 each; only one of them matches."""
    assert overlaps(row((4, 1)), row((2, 1), (2, 2))).counts(0.5) == MatchCounts(1, 1, 0, 0.5)


def test_below_one_half_the_assignment_matches_most():
    """The best pair, 1 with 1 at 4/7, would leave 1 and 2 alone; two pairs match otherwise."""
    true, predicted = row((5, 1), (3, 2)), row((3, 2), (5, 1))      # IoU 1-2 3/5, 1-1 2/8, 2-1 3/5
    assert overlaps(true, predicted).counts(0.2) == MatchCounts(2, 0, 0, pytest.approx(1.2))
    true, predicted = row((2, 1), (5, 1), (2, 2), (9, 0)), row((2, 3), (5, 4), (2, 4), (9, 0))
    found = overlaps(true, predicted)       # IoU 1-3 2/7, 1-4 5/9, 2-4 2/7
    assert found.counts(0.25) == MatchCounts(2, 0, 0, pytest.approx(4 / 7))


def test_pairs_of_different_classes_do_not_match():
    labels = row((2, 1), (2, 2))
    found = overlaps(labels, labels).of_same_class(np.array([0, 1, 1]), np.array([0, 1, 2]))
    assert found.counts(0.5) == MatchCounts(1, 1, 1, 1)


def test_what_is_refused():
    with pytest.raises(UNetError, match=r"shape \(1, 2\), the predicted one \(1, 3\)"):
        overlaps(row((2, 1)), row((3, 1)))
    with pytest.raises(UNetError, match="float64 numbers"):
        overlaps(row((2, 1)), np.ones((1, 2)))
    with pytest.raises(UNetError, match="predicted label image holds int64 numbers from -1 to -1"):
        overlaps(row((2, 1)), row((2, -1)))


# ---- properties


labels = arrays(np.int32, (6, 7), elements=st.integers(0, 5))


@given(labels, labels, st.sampled_from([0.1, 0.3, *THRESHOLDS]))
def test_as_a_dense_table_counts_and_matches(true, predicted, threshold):
    found = overlaps(true, predicted)
    firsts, seconds = (np.setdiff1d(image, 0) for image in (true, predicted))
    iou = np.array([[((true == a) & (predicted == b)).sum() / ((true == a) | (predicted == b)).sum() for b in seconds]
                    for a in firsts]).reshape(len(firsts), len(seconds))
    matched = iou >= threshold
    rows, columns = linear_sum_assignment(matched + iou / 100, maximize=True)
    chosen = matched[rows, columns]
    counts = found.counts(threshold)
    assert (counts.tp, counts.fp, counts.fn) == (chosen.sum(), len(seconds) - chosen.sum(), len(firsts) - chosen.sum())
    assert counts.iou_sum == pytest.approx(iou[rows, columns][chosen].sum())
    pairs = found.pairs[found.matches(threshold)]
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)


@given(labels, labels)
def test_exchanging_the_images_exchanges_fp_and_fn(true, predicted):
    one, other = overlaps(true, predicted).counts(0.5), overlaps(predicted, true).counts(0.5)
    assert (one.tp, one.fp, one.fn) == (other.tp, other.fn, other.fp)


# ---- many objects


def grid(side, count, shift=0):
    """Label image of count x count squares, which fill half of each side of their cell."""
    cell = side // count
    places = (np.arange(side) - shift) % side
    number, inside = places // cell, places % cell < cell // 2
    inside &= number < count
    image = (number[:, None] * count + number + 1).astype(np.uint32)
    image *= inside[:, None] & inside
    return image


def test_thousand_objects():
    """32 x 32 squares of 8x8, of which all move by one pixel: IoU 49 / 79."""
    found = scores((grid(512, 32), grid(512, 32, 1)))
    assert found.true == [1024] == found.predicted
    assert found.mean(0.5)["f1"] == 1 and found.mean(0.75)["f1"] == 0
    assert found.mean(0.5)["mean_iou"] == pytest.approx(49 / 79)


@pytest.mark.slow
def test_large_images():
    """Two images of 10,000 x 10,000 pixels with 500,000 objects each: a dense table would have 250 GB."""
    true, predicted = grid(10000, 714), grid(10000, 714, 1)
    assert overlaps(true, predicted).counts(0.5).tp == 714 * 714 == 509796
