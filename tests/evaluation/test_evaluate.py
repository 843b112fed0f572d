"""Evaluation of predictors with known answers, without a network."""
import json

import cv2
import numpy as np
import pytest

from src.evaluation import evaluate as evaluate_module
from src.evaluation.evaluate import ScoreOptions, evaluate, to_volume
from src.model_utils.errors import UNetError


class Known:
    """Three images that are their own labels, for predictors to read the answer from."""

    num_classes = 2
    classes = np.array([[[0, 1], [1, 1]], [[0, 0], [1, 1]], [[1, 1], [1, 0]]], np.uint8)

    def __len__(self):
        return len(self.classes)

    def __getitem__(self, index):
        return self.classes[index].astype(np.float32)[None], self.classes[index]

    def name(self, index):
        return f"image {index}"


def perfect(images):
    foreground = images[:, 0]
    return np.stack([1 - foreground, foreground], axis=-1)


def blank(images):
    """Everything is class 0, with probability 3/4."""
    return np.broadcast_to(np.float32([0.75, 0.25]), (*images[:, 0].shape, 2))


def test_scores_of_a_perfect_and_of_a_blank_prediction():
    scores = evaluate(perfect, Known(), ScoreOptions())
    assert scores.mean_dice == pytest.approx(1, abs=1e-6) and scores.hard["IoU"]["per_class"] == [1.0, 1.0]
    assert scores.metric("dice_coeff") == scores.mean_dice and scores.metric("iou") == scores.mean_iou
    scores = evaluate(blank, Known(), ScoreOptions())
    # First image: 1 pixel of class 0, 3 of class 1: 2 (0.75 + 3 * 0.25) / (4 (0.5625 + 0.0625) + 4)
    assert scores.dice[0] == pytest.approx(3 / 6.5)
    assert scores.names == ["image 0", "image 1", "image 2"]
    assert scores.mean_dice == pytest.approx(np.mean(scores.dice))


def test_the_soft_metrics_can_leave_out_the_background():
    scores = evaluate(blank, Known(), ScoreOptions(include_background=False))
    # 2 (3 * 0.25) / (4 * 0.0625 + 3)
    assert scores.dice[0] == pytest.approx(1.5 / 3.25)


def test_class_numbers_are_scored_like_probabilities():
    scores = evaluate(lambda images: images[:, 0].astype(np.int32), Known(), ScoreOptions("Argmax"))
    assert scores.mean_dice == pytest.approx(1, abs=1e-6)


def test_hard_metrics_of_each_image():
    """The prediction is right for the second image; it misses foreground in the first and adds some in the third."""
    found = iter(np.array([[[0, 1], [0, 0]], [[0, 0], [1, 1]], [[1, 1], [1, 1]]], np.float32))
    scores = evaluate(lambda images: perfect(next(found)[None, None]), Known(), ScoreOptions())
    assert scores.hard_per_image["acc"] == [0.5, 1, 0.75]
    assert scores.hard_per_image["hard_iou"] == pytest.approx([1 / 3, 1, 3 / 4], abs=1e-4)
    assert scores.metric("hard_iou") == pytest.approx((1 / 3 + 1 + 3 / 4) / 3, abs=1e-5)
    assert scores.metric("hard_dice") == pytest.approx((2 / 4 + 1 + 6 / 7) / 3, abs=1e-5)
    assert scores.metric("sens") == pytest.approx((1 / 3 + 1 + 1) / 3, abs=1e-5)
    assert scores.metric("spec") == pytest.approx((1 + 1 + 0) / 3, abs=1e-5)
    assert scores.line(["spec", "acc"]) == "spec: 0.6667, acc: 0.7500"
    saved = scores.as_dict()["hard_per_image"]
    assert saved["acc"] == 0.75 and saved["per_image"][2]["name"] == "image 2" and saved["per_image"][2]["acc"] == 0.75
    json.dumps(saved)


# ---- one output channel: the probability of class 1


def test_sigmoid_scores_as_the_softmax_of_two_classes():
    """Also at a probability of exactly one half, which is class 0 both by argmax and by rounding."""
    answers = np.float32([0.75, 0.5, 0.5 + 2**-24, 0.25]).reshape(1, 2, 2)
    one = evaluate(lambda _: answers[..., None], Known(), ScoreOptions("Sigmoid"))
    two = evaluate(lambda _: np.stack([1 - answers, answers], axis=-1), Known(), ScoreOptions("Softmax"))
    assert one == two
    # The prediction is [[1, 0], [1, 0]]; first label [[0, 1], [1, 1]].
    assert one.hard_per_image["acc"][0] == 1 / 4 and one.hard_per_image["sens"][0] == pytest.approx(1 / 3, abs=1e-5)


def test_one_channel_becomes_the_volume_of_two_classes():
    probabilities = np.float32([[0.25, 1], [0, 0.5]])[..., None]
    volume = to_volume(probabilities, (2, 2), 2, "Sigmoid")
    assert volume.dtype == np.float32
    np.testing.assert_array_equal(volume, [[[0.75, 0.25], [0, 1]], [[1, 0], [0.5, 0.5]]])


def test_one_channel_is_resized_like_a_softmax():
    """Each class is resized bilinearly as an 8-bit map."""
    probabilities = np.random.default_rng(0).random((6, 5, 1)).astype(np.float32)
    volume = to_volume(probabilities, (13, 11), 2, "Sigmoid")
    assert volume.shape == (13, 11, 2)
    for c, maps in enumerate((1 - probabilities, probabilities)):
        np.testing.assert_allclose(volume[..., c], cv2.resize(np.uint8(maps * 255), (11, 13)) / 255, atol=1e-7)


def test_predictions_of_only_one_class_are_warned_of(caplog):
    caplog.set_level("INFO", "unet")
    evaluate(blank, Known(), ScoreOptions())
    assert "only one class for 3 of 3 images: image 0 (class 0)" in caplog.text
    caplog.clear()
    evaluate(perfect, Known(), ScoreOptions())
    assert "only one class" not in caplog.text


class PartlyIgnored(Known):
    """The same images twice as wide, with 255 in the right half of the labels, and an image of nothing else."""

    classes = np.concatenate([np.concatenate([Known.classes, np.full((3, 2, 2), 255, np.uint8)], axis=2),
                              np.full((1, 2, 4), 255, np.uint8)])


@pytest.mark.parametrize("activate", ["Softmax", "Argmax"])
def test_ignored_pixels_count_in_no_metric(caplog, activate):
    def guess(images):
        shown = images[:, 0].copy()
        shown[:, 0, 0] = 1      # a wrong pixel, and anything at all where labels are ignored
        shown[shown == 255] = 0.3
        volume = np.stack([1 - shown, shown], axis=-1)
        return volume.argmax(axis=-1) if activate == "Argmax" else volume

    options = ScoreOptions(activate)
    drawn = []
    scores, expected = evaluate(guess, PartlyIgnored(), options, drawn.append), evaluate(guess, Known(), options)
    assert scores.as_dict() == expected.as_dict() and len(drawn) == 3
    assert "labels of 1 of 4 images have only ignored pixels; these images are left out: image 3" in caplog.text


def test_an_evaluation_needs_an_image():
    samples = Known()
    samples.classes = samples.classes[:0]
    with pytest.raises(UNetError, match="no validation image"):
        evaluate(perfect, samples, ScoreOptions())


def test_resizing_follows_the_published_protocol():
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], (6, 5)).astype(np.float32)
    volume = to_volume(probabilities, (13, 11), 3, "Softmax")
    for c in range(3):
        expected = cv2.resize(np.uint8(probabilities[:, :, c] * 255), (11, 13)) / 255
        np.testing.assert_allclose(volume[..., c], expected, atol=1e-7)
    classes = probabilities.argmax(axis=-1)
    volume = to_volume(classes, (13, 11), 3, "Argmax")
    for c in range(3):
        expected = cv2.resize(np.uint8(classes == c), (11, 13), interpolation=cv2.INTER_NEAREST)
        np.testing.assert_array_equal(volume[..., c], expected)


def test_probabilities_of_the_right_size_do_not_change():
    probabilities = np.random.default_rng(0).random((4, 4, 2)).astype(np.float32)
    assert to_volume(probabilities, (4, 4), 2, "Softmax") is probabilities


def test_large_images_are_scored_in_bands(monkeypatch):
    """A predictor may yield bands itself; only the volume is not kept. The scores are those of the whole."""
    def guess(images):
        return np.stack([0.75 - images[:, 0] / 2, 0.25 + images[:, 0] / 2], axis=-1)

    def in_rows(images):
        return (guess(images[:, :, row:row + 1]) for row in range(images.shape[2]))
    whole, volumes = evaluate(guess, PartlyIgnored(), ScoreOptions()), []
    monkeypatch.setattr("src.evaluation.evaluate.MOST_PIXELS", 4)
    for predict in (guess, in_rows):
        banded = evaluate(predict, PartlyIgnored(), ScoreOptions(), lambda image: volumes.append(image.volume))
        assert banded.confusion == whole.confusion and banded.hard_per_image == whole.hard_per_image
        assert banded.dice == pytest.approx(whole.dice, abs=1e-12)
    assert volumes == [None] * 6


@pytest.mark.parametrize("activate", ["Softmax", "Argmax"])
def test_many_classes_wait_in_a_file(monkeypatch, activate):
    """The numbers are the same; memory holds no array of all of them."""
    rng = np.random.default_rng(0)
    output = rng.random((6, 5, 9), np.float32) if activate == "Softmax" else rng.integers(0, 9, (6, 5))
    expected = np.concatenate(list(evaluate_module.volume_bands(output, (31, 20), 9, activate, 7)))
    monkeypatch.setattr(evaluate_module, "MOST_BYTES", 100)
    found = list(evaluate_module.volume_bands(output, (31, 20), 9, activate, 7))
    np.testing.assert_array_equal(np.concatenate(found), expected)
    assert isinstance(evaluate_module._maps(output, (31, 20), 9, activate).base, np.memmap)
