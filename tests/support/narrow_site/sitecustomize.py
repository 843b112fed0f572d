"""Python loads this at its start, where PYTHONPATH names the folder; see ``tests/support/narrow.py``."""
import os

from tests.support.narrow import DIVISOR, narrow_registry

narrow_registry(int(os.environ[DIVISOR])).start()
