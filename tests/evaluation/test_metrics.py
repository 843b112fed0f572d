"""Metrics, by hand-computed values and properties."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.evaluation.metrics import HARD_METRICS, METRIC_NAMES, ClassCounts, foreground_metrics, soft_dice_iou
from src.model_utils.schema import load_schema


def one_hot(classes, count):
    return (np.arange(count) == np.asarray(classes)[..., None]).astype(np.float32)


def test_soft_dice_by_hand():
    p = np.array([[[0.8, 0.2], [0.4, 0.6]]])
    y = one_hot([[0, 0]], 2)
    # 2 (0.8 + 0.4) / (0.64 + 0.04 + 0.16 + 0.36 + 2)
    dice, iou = soft_dice_iou(p, y)
    assert dice == pytest.approx(2.4 / 3.2) and iou == pytest.approx(0.75 / 1.25)


def test_soft_dice_ends():
    y = one_hot([[0, 1]], 2)
    assert soft_dice_iou(y, y) == pytest.approx((1, 1), abs=1e-6)
    assert soft_dice_iou(1 - y, y) == (0, 0)
    assert soft_dice_iou(np.zeros((1, 2, 1)), np.zeros((1, 2, 1))) == (0, 0)     # no 0/0


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_hard_prediction_makes_dice_the_pixel_accuracy(seed, count):
    rng = np.random.default_rng(seed)
    predicted, label = rng.integers(0, count, (2, 6, 7))
    dice, _ = soft_dice_iou(one_hot(predicted, count), one_hot(label, count))
    assert dice == pytest.approx(np.mean(predicted == label), abs=1e-6)


def test_hard_metrics_by_hand():
    counts = ClassCounts(2)
    counts.add(np.array([[1, 1, 1, 0, 0, 1]]), np.array([[1, 1, 0, 0, 1, 1]]))
    # class 1: tp 3, fp 1, fn 1, tn 1
    assert counts.matrix.tolist() == [[1, 1], [1, 3]]
    scores = counts.summary()
    assert scores["Acc"]["foreground"] == pytest.approx(4 / 6)
    assert scores["IoU"]["per_class"] == pytest.approx([1 / 3, 3 / 5])
    assert scores["Dice"]["foreground"] == pytest.approx(6 / 8)
    assert scores["Sens"]["foreground"] == pytest.approx(3 / 4)
    assert scores["Spec"]["foreground"] == pytest.approx(1 / 2)
    assert scores["IoU"]["mean"] == pytest.approx((1 / 3 + 3 / 5) / 2)


def test_foreground_metrics_by_hand():
    # tp 3, fp 1, fn 1, tn 3
    scores = foreground_metrics(np.array([[1, 1, 1, 0, 0, 1, 0, 0]]), np.array([[1, 1, 0, 0, 1, 1, 0, 0]]))
    assert scores == {"acc": 6 / 8, "hard_iou": 3 / 5.00001, "hard_dice": 6 / 8.00001, "sens": 3 / 4.00001,
                      "spec": 3 / 4.00001}


def test_foreground_metrics_ends():
    """The smoothing makes what has no denominator 0, and nothing else more than 1."""
    empty, full = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)
    assert foreground_metrics(empty, empty) == {"acc": 1, "hard_iou": 0, "hard_dice": 0, "sens": 0,
                                                "spec": 4 / 4.00001}
    assert foreground_metrics(full, full) == {"acc": 1, "hard_iou": 4 / 4.00001, "hard_dice": 8 / 8.00001,
                                              "sens": 4 / 4.00001, "spec": 0}
    assert foreground_metrics(full, empty) == dict.fromkeys(("acc", "hard_iou", "hard_dice", "sens", "spec"), 0)


def test_foreground_of_many_classes_is_all_but_0():
    predicted, label = np.array([[0, 2, 1, 3]]), np.array([[0, 1, 1, 0]])
    assert foreground_metrics(predicted, label) == foreground_metrics(predicted > 0, label > 0)
    assert foreground_metrics(predicted, label)["acc"] == 3 / 4      # a class taken for another one is foreground


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_foreground_metrics_agree_with_the_counts(seed, density, accuracy):
    """Of one image with both classes, they are those of class 1 but for the smoothing."""
    rng = np.random.default_rng(seed)
    label = rng.random((16, 16)) < density
    predicted = np.where(rng.random((16, 16)) < accuracy, label, ~label).astype(np.uint8)
    counts = ClassCounts(2)
    counts.add(predicted, label)
    hard = {name: value["foreground"] for name, value in counts.summary().items()}
    scores = foreground_metrics(predicted, label)
    for name, theirs in (("acc", "Acc"), ("hard_iou", "IoU"), ("hard_dice", "Dice"), ("sens", "Sens"),
                         ("spec", "Spec")):
        assert scores[name] == pytest.approx(hard[theirs] or 0, abs=1e-4)


def test_the_options_know_the_metrics():
    assert load_schema()["eval_metrics"].choices == list(METRIC_NAMES)


def test_absent_class_is_left_out_of_means():
    counts = ClassCounts(3)
    counts.add(np.array([0, 1]), np.array([0, 0]))
    scores = counts.summary()
    assert scores["IoU"]["per_class"] == [0.5, 0.0, None]
    assert scores["IoU"]["mean"] == pytest.approx(0.25) and scores["IoU"]["foreground"] == 0.0
    assert scores["Sens"]["per_class"] == [0.5, None, None]      # class 1 was predicted, but no label has it
    assert scores["Spec"]["per_class"] == [None, 0.5, None]


def test_only_background():
    counts = ClassCounts(2)
    counts.add(np.zeros(4, int), np.zeros(4, int))
    scores = counts.summary()
    assert scores["Dice"]["per_class"] == [1.0, None] and scores["Dice"]["foreground"] is None


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(1, 4))
def test_counts_add_up(seed, classes, images):
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, classes, (images, 2, 5, 4))
    counts, all_at_once = ClassCounts(classes), ClassCounts(classes)
    for predicted, label in pairs:
        counts.add(predicted, label)
    all_at_once.add(pairs[:, 0], pairs[:, 1])
    np.testing.assert_array_equal(counts.matrix, all_at_once.matrix)
    assert counts.matrix.sum() == images * 20
    for name in HARD_METRICS:
        values = counts.per_class()[name]
        assert np.nanmax(values) <= 1 and np.nanmin(values) >= 0
    scores = counts.per_class()
    np.testing.assert_allclose(scores["Dice"], 2 * scores["IoU"] / (1 + scores["IoU"]))
