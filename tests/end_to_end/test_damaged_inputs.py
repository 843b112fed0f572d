"""Damaged inputs in bulk: every one ends in a result or in the project's own error, which names the file."""
import json
from collections import Counter

import pytest

from tests.support.scripts import run_helper

pytestmark = pytest.mark.slow


def test_damaged_inputs(tmp_path):
    result = run_helper("damaged", tmp_path, cwd=tmp_path)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0, f"ended at {lines[-1]}: {result.stderr[-500:]}"
    *cases, end = lines
    print(Counter((case["case"].split(":")[0], case["outcome"]) for case in cases))
    assert [case for case in cases if case["outcome"] not in ("result", "refused")] == []
    assert len(cases) >= 1500
    assert max(case["seconds"] for case in cases) < 10
    assert end["peak_gb"] < 2
    assert not (tmp_path / "owned").exists()       # what a YAML tag wanted to make
