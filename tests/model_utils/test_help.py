"""Every script answers --help before it loads anything heavy."""
import sys

import pytest

from tests.support.scripts import PROJECT, call

SCRIPTS = sorted(str(path.relative_to(PROJECT)) for folder in (".", "scripts", "benchmarks")
                 for path in (PROJECT / folder).glob("*.py") if '__name__ == "__main__"' in path.read_text())
CODE = """
import runpy, sys
sys.argv = [sys.argv[1], "--help"]
sys.path[0] = sys.argv[0].rpartition("/")[0]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    heavy = [name for name in ("mindspore", "numpy", "cv2", "torch") if name in sys.modules]
    sys.exit(f"status {end.code}, loaded {heavy}" if end.code or heavy else 0)
"""


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_loads_neither_mindspore_nor_numpy(script, tmp_path):
    result = call(sys.executable, "-c", CODE, PROJECT / script, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "usage: " in result.stdout and "--help" in result.stdout
