"""The table of the kinds of images: training and prediction read the same, and the document says it."""
import pytest

from benchmarks import image_kinds
from tests.support.scripts import PROJECT

KINDS = image_kinds.kinds()
DOCUMENT = (PROJECT / "docs" / "results" / "image_kinds.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", KINDS)
def test_training_and_prediction_read_the_same(tmp_path, name):
    row = image_kinds.look(tmp_path, name, KINDS[name])
    assert row.is_equal and row.training == row.prediction
    assert f"| {row.file} | {row.kind} |" in DOCUMENT


def test_the_document_has_each_kind():
    assert DOCUMENT.count(" levels | the same |\n") == len(KINDS)
