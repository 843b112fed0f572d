"""Objects in an evaluation: their scores at the size of the labels, their pictures, and the report."""
import json

import numpy as np
import pytest

from src.data.boundary import boundary_classes
from src.data.samples import create_samples
from src.data.synthetic_cells import write_cells
from src.evaluation.evaluate import ScoreOptions, evaluate
from src.evaluation.object_metrics import overlaps
from src.evaluation.objects import ObjectOptions, Objects
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.report import object_scores
from src.report.evaluation import evaluate_and_report
from src.report.object_pictures import OBJECT_COLOURS, kinds_of_pixels, object_overlay, outlines
from src.report.object_scores import ObjectScorer, ScoredObjects
from src.training.callbacks.evaluation import Evaluator
from src.training.evaluation import EvaluationPlan

NAMES = ["none", *OBJECT_COLOURS]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    write_cells(folder, 5, 96, 1)
    return folder


def options(cells, *argv):
    return parse_options(["--dataset=folders", f"--data_path={cells}", "--image_size=[96, 96]", "--split=0.4", *argv],
                         "")


def answers(samples, has_rim=False):
    """A predictor that knows the labels, of interior and rim with ``has_rim``, in the order of the samples."""
    def classes():
        while True:
            for index in range(len(samples)):
                own = samples.own_classes(index)
                yield boundary_classes(own, samples.own_objects(index)) if has_rim else own
    found = classes()
    return lambda images: np.eye(2 + has_rim, dtype=np.float32)[next(found)][None]


def test_a_rim_tells_touching_cells_apart(cells):
    """Semantic scores take interior and rim together; without the rim, components of touching cells are one object."""
    samples = create_samples(options(cells))[1]
    accuracy = {}
    for has_rim, found in ((False, ObjectOptions(split="components")), (True, ObjectOptions())):
        scorer = ObjectScorer(samples, found)
        scores = evaluate(answers(samples, has_rim), samples, ScoreOptions(has_rim=has_rim), scorer.add)
        assert scores.mean_iou == pytest.approx(1, abs=1e-6) and scores.hard["IoU"]["foreground"] == 1
        accuracy[has_rim] = scorer.scores.metric("object_accuracy")
        assert sum(scorer.scores.true) == sum(samples.own_objects(index).max() for index in range(len(samples)))
    assert accuracy[True] > 0.95 and accuracy[False] < 0.8


def test_objects_are_scored_at_the_size_of_the_labels(cells):
    samples = create_samples(options(cells, "--image_size=[48, 48]"))[1]
    sizes = []
    scorer = ObjectScorer(samples, ObjectOptions(), lambda scored: sizes.append((scored.true.shape,
                                                                                 scored.predicted.labels.shape)))
    evaluate(lambda images: np.full((1, 48, 48, 2), 0.5, np.float32), samples, ScoreOptions(), scorer.add)
    assert set(sizes) == {((96, 96), (96, 96))} and sum(scorer.scores.predicted) == 0
    assert scorer.scores.metric("object_f1") == 0


def test_what_the_evaluation_writes(cells, tmp_path, caplog):
    config = options(cells, "--object_metrics=True", "--report=True", f"--output_path={tmp_path}", "--target=boundary")
    samples = create_samples(config)[1]
    caplog.set_level("INFO", "unet")
    scores = evaluate_and_report(answers(samples, True), samples, config, "a.ckpt", "eval.py", "CPU")
    written = json.loads((tmp_path / "metrics.json").read_text())["objects"]
    assert written["mean"]["0.5"]["f1"] == scores.metric("object_f1") and len(written["per_image"]) == 3
    assert set(written["pooled"]) == {"0.5", "0.55", "0.6", "0.65", "0.7", "0.75", "0.8", "0.85", "0.9", "0.95",
                                      "mean_accuracy"}
    assert "metrics of objects:" in caplog.text and "pooled, IoU 0.75" in caplog.text
    page = (tmp_path / "report.html").read_text()
    assert "Worst images by accuracy of objects" in page and "Sizes of objects" in page
    assert page.count("Objects of cells_") == 3 and "panoptic quality" in page


def scored(true, predicted):
    true, predicted = np.array(true), np.array(predicted)
    return ScoredObjects(0, true, Objects(predicted, np.ones(predicted.max() + 1, int)), overlaps(true, predicted))


def test_kinds_by_hand():
    """From left to right: matched, missed, invented, two merged, one split."""
    true = [[1, 1, 0, 2, 0, 0, 0, 3, 3, 4, 4, 0, 5, 5, 5, 5]]
    found = [[1, 1, 0, 0, 0, 2, 0, 3, 3, 3, 3, 0, 4, 5, 6, 6]]
    found[0][7:11] = [3, 3, 3, 3]
    true[0][7:11] = [3, 3, 4, 7]        # none of the three reaches an IoU above one half with all four
    found[0][12:16] = [4, 5, 6, 7]
    kinds = kinds_of_pixels(scored(true, found))
    assert [NAMES[kind] for kind in kinds[0]] == [
        "matched", "matched", "none", "missed", "none", "invented", "none", *["matched"] * 2, *["missed"] * 2, "none",
        *["split"] * 4]
    true[0][7:11] = [3, 4, 7, 8]
    assert [NAMES[kind] for kind in kinds_of_pixels(scored(true, found))[0, 7:11]] == ["merged"] * 4


def test_outlines_and_overlay():
    labels = np.zeros((6, 6), int)
    labels[1:6, 1:4], labels[1:6, 4:] = 1, 2
    edge = outlines(labels)
    assert edge[1, 1:].all() and edge[3].tolist() == [False, True, False, True, True, False] and not edge[0].any()
    image = np.full((6, 6, 3), 100, np.uint8)
    drawn = object_overlay(image, scored(labels, labels))
    assert drawn[0, 0].tolist() == [100] * 3 and drawn[1, 1].tolist() == list(OBJECT_COLOURS["matched"])
    assert drawn[3, 2].tolist() not in ([100] * 3, list(OBJECT_COLOURS["matched"]))


@pytest.mark.parametrize("argv", [["--image_size=native", "--train_crop=48"], ["--eval_resize=True"], []], ids=" ".join)
def test_an_image_that_is_too_large_is_said_before_anything_is_predicted(cells, monkeypatch, tmp_path, argv):
    monkeypatch.setattr(object_scores, "MOST_PIXELS", 96 * 96 - 1)
    (tmp_path / "best.ckpt").touch()
    for option in ("--object_metrics=True", "--fit_objects=True"):
        config = options(cells, option, *argv)
        _, samples = create_samples(config)
        with pytest.raises(UNetError, match="cells_00.: 96x96 pixels; objects are scored in images of at most 0 mega"):
            evaluate_and_report(None, samples, config, tmp_path / "best.ckpt", "eval.py", "CPU")


def test_so_it_is_before_a_training(cells, monkeypatch):
    monkeypatch.setattr(object_scores, "MOST_PIXELS", 96 * 96 - 1)
    config = options(cells, "--run_eval=True", "--eval_metrics=[object_f1]")
    with pytest.raises(UNetError, match="96x96 pixels; objects are scored"):
        Evaluator(None, create_samples(config)[1], EvaluationPlan.from_config(config))
