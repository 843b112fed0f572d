"""Every script answers --help before it loads anything heavy."""
import sys

import pytest

from tests.support.scripts import PROJECT, call

# peers.py starts the peer_*.py, in the environments of other projects.
SCRIPTS = sorted(str(path.relative_to(PROJECT)) for folder in (".", "scripts", "benchmarks")
                 for path in (PROJECT / folder).glob("*.py")
                 if '__name__ == "__main__"' in path.read_text() and not path.name.startswith("peer_"))
CODE = """
import runpy, sys
sys.argv = [sys.argv[1], "--help"]
sys.path[0] = sys.argv[0].rpartition("/")[0]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    heavy = [name for name in HEAVY if name in sys.modules]
    sys.exit(f"status {end.code}, loaded {heavy}" if end.code or heavy else 0)
"""


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_loads_nothing_heavy(script, tmp_path):
    """Benchmarks may load NumPy, which takes a moment."""
    heavy = ("mindspore", "torch") if script.startswith("benchmarks/") else ("mindspore", "torch", "numpy", "cv2")
    result = call(sys.executable, "-c", f"HEAVY = {heavy}\n{CODE}", PROJECT / script, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "usage: " in result.stdout and "--help" in result.stdout
