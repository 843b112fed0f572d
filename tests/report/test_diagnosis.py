"""What is said about runs that score poorly."""
import pytest

from src.report.diagnosis import RunFacts, diagnose, needs_diagnosis

ENOUGH = {"train": 40, "valid": 10}


def facts(**more):
    return RunFacts("hard_iou", **{"scores": [(100, 0.4)], "losses": [(100, 0.5)], **ENOUGH, **more})


def test_which_runs_need_sentences():
    assert needs_diagnosis(0.69, False) and needs_diagnosis(0.9, True)
    assert not needs_diagnosis(0.7, False)


def test_nothing_is_said_without_a_number():
    assert diagnose(facts()) == []


@pytest.mark.parametrize("more, words", [
    ({"classes": ["background", "nucleus"], "confusion": [[90, 0], [10, 0]]},
     "The last evaluation predicts no pixel of nucleus (10.00% of the labels); train longer"),
    ({"scores": [(100, 0.5), (200, 0.6), (300, 0.55)], "losses": [(100, 0.5), (200, 0.3), (300, 0.1)]},
     "Hard_iou on the validation images was best after step 200 (0.600) and is 0.550 after step 300, while the "
     "training loss fell from 0.3 to 0.1"),
    ({"differing": ["the numbers of channel 0 differ between training (0 to 9) and validation (20 to 30)"]},
     "The numbers of channel 0 differ between training (0 to 9) and validation (20 to 30)."),
    ({"diameter": 1.8}, "Half of the objects are less than 1.8 pixels wide"),
    ({"train": 4, "valid": 2}, "4 images train and 2 validate"),
    ({"classes": ["background", "cat", "dog", "cup"]},
     "40 images train 3 classes besides the background, 13.3 for each"),
    ({"scores": [(100, 0.3), (300, 0.5), (400, 0.6)]}, "Hard_iou still rose by 0.100 in the last quarter of the run")])
def test_sentences(more, words):
    (sentence,) = diagnose(facts(**more))
    assert sentence.startswith(words)


def test_a_score_that_falls_with_the_loss_is_not_learning_by_heart():
    assert diagnose(facts(scores=[(100, 0.5), (200, 0.6), (300, 0.55)],
                          losses=[(100, 0.5), (200, 0.3), (300, 0.4)])) == []


def test_three_sentences_at_most():
    said = diagnose(facts(classes=["a", "b"], confusion=[[9, 0], [1, 0]], differing=["channel 0", "channel 1"],
                          diameter=1, train=4))
    assert [sentence[:9] for sentence in said] == ["The last ", "Channel 0", "Channel 1"]
