"""Python loads this at its start, where PYTHONPATH names the folder; see ``tests/support/light.py``."""
import sys

from tests.support.light import raise_signals, shallow_registry, without_drawing

shallow_registry().start()
sys.modules["src.report.figures"] = without_drawing()
raise_signals()
