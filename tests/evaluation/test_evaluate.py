"""Evaluation of predictors with known answers, without a network."""
import json

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.layouts import Source
from src.data.sample_transforms import FolderTransform, Geometry, StackTransform
from src.data.samples import open_samples
from src.evaluation.evaluate import ScoreOptions, evaluate, to_volume
from src.evaluation.isbi_metrics import BestThreshold, BoardMetrics
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.report.drawing import palette
from src.report.evaluation import evaluate_and_report, hard_table
from tests.support.data import write_pairs


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


@pytest.fixture
def folder(tmp_path):
    data = write_pairs(tmp_path / "data", [f"{k}" for k in range(5)], classes=9)
    return data, tmp_path / "out"


def test_log_lines_metrics_and_drawings(folder, caplog):
    """With 99 classes, of which the labels have nine."""
    data, out = folder
    config = parse_options([f"--data_path={data}", f"--output_path={out}", "--num_classes=99", "--show_eval=True"], "")
    _, samples = open_samples(Source("folders", data, 3, num_classes=99, split=0.4),
                              FolderTransform(Geometry((40, 48), (40, 48))))
    answers = iter([samples[k][1] for k in range(len(samples))])
    (out / "draw_eval").mkdir(parents=True)
    (out / "draw_eval" / "predict-77.png").write_text("of an earlier run")
    caplog.set_level("INFO", "unet")
    scores = evaluate_and_report(lambda _: np.eye(99, dtype=np.float32)[next(answers)][None], samples, config,
                                 "some.ckpt", "eval.py", "CPU")
    lines = caplog.text
    assert lines.count("single dice coeff is: ") == 3 and "IOU is: " in lines
    assert f"============== Cross valid dice coeff is: {scores.mean_dice}" in lines
    assert f"============== Cross valid IOU is: {scores.mean_iou}" in lines
    saved = json.loads((out / "metrics.json").read_text())
    assert saved["soft"]["dice_coeff"] == scores.mean_dice and saved["model"] == "some.ckpt"
    assert [image["name"] for image in saved["soft"]["per_image"]] == ["2", "3", "4"]
    assert saved["hard"]["IoU"]["mean"] == 1.0 and saved["hard"]["IoU"]["per_class"][50] is None
    assert "hard metrics of the foreground, mean over the images: acc: 1.0000, hard_iou: 1.0000, " in lines
    assert saved["hard_per_image"]["hard_iou"] == scores.metric("hard_iou") == pytest.approx(1, abs=1e-5)
    drawings = sorted(path.name for path in (out / "draw_eval").iterdir())
    assert drawings == [f"{kind}-{k}.png" for kind in ("mask", "predict") for k in (1, 2, 3)]
    colors = palette(config.color, 99)
    np.testing.assert_array_equal(np.asarray(Image.open(out / "draw_eval" / "mask-2.png")), colors[samples[1][1]])


# ---- the ISBI board's metrics


def board_report(sample, out, side, *argv):
    """Report a perfect predictor on the sample's slices, resized to ``side``; returns the Scores."""
    _, samples = open_samples(Source("ISBI", sample), StackTransform(Geometry((side, side), (side, side))))
    answers = iter([samples[k][1] for k in range(len(samples))])
    config = parse_options([f"--output_path={out}", "--isbi_metrics=True", *argv], "")
    return evaluate_and_report(lambda _: np.eye(2, dtype=np.float32)[next(answers)][None], samples, config,
                               "some.ckpt", "eval.py", "CPU"), samples


def test_board_metrics_are_reported(sample, tmp_path, caplog):
    caplog.set_level("INFO", "unet")
    scores, _ = board_report(sample, tmp_path, 96)
    assert scores.board == {name: BestThreshold(pytest.approx(1), 1) for name in ("V_rand", "V_info")}
    assert "V_rand: 1.000000, threshold of the membrane probability: 1.0\nINFO" in caplog.text
    assert "V_info: 1.000000, threshold of the membrane probability: 1.0\nINFO" in caplog.text
    saved = json.loads((tmp_path / "metrics.json").read_text())["isbi_board"]
    assert saved["V_rand"] == {"value": scores.board["V_rand"].value, "threshold": 1.0}


def test_board_metrics_are_of_the_labels_own_size(sample, tmp_path):
    """A prediction that is perfect at 48x48 is not at 96x96: the probability is resized, the label is not."""
    scores, samples = board_report(sample, tmp_path, 48)
    assert scores.mean_dice == pytest.approx(1, abs=1e-5)
    labels, expected = tifffile.imread(sample / "train-labels.tif"), BoardMetrics()
    for k, index in enumerate(samples.indices):
        expected.add(labels[index], cv2.resize(samples[k][1].astype(np.float32), (96, 96)))
    assert scores.board == expected.best() and 0.5 < scores.board["V_rand"].value < 1


def test_board_metrics_need_two_classes_and_a_cell(sample, tmp_path, caplog):
    with pytest.raises(UNetError, match="num_classes is 3; set isbi_metrics to False"):
        board_report(sample, tmp_path, 96, "--num_classes=3")
    (tmp_path / "data").mkdir()
    stack = np.zeros((5, 16, 16), np.uint8)
    for name in ("train-volume.tif", "train-labels.tif"):
        tifffile.imwrite(tmp_path / "data" / name, stack, photometric="minisblack")
    scores, _ = board_report(tmp_path / "data", tmp_path, 16)
    assert scores.board == {} and "no validation label has a cell" in caplog.text
    assert "isbi_board" not in json.loads((tmp_path / "metrics.json").read_text())


def test_the_palette_continues_after_the_given_colors():
    colors = palette([[1, 2, 3], [4, 5, 6]], 40)
    assert colors.shape == (40, 3) and colors[1].tolist() == [4, 5, 6]
    assert len({tuple(color) for color in colors.tolist()}) == 40
    assert palette([[1, 2, 3]] * 5, 2).shape[0] >= 2


def test_table_of_many_classes_is_short():
    from src.evaluation.metrics import ClassCounts

    assert len(hard_table(ClassCounts(2).summary())) == 5
    assert len(hard_table(ClassCounts(81).summary())) == 3
