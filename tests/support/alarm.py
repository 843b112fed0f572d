"""A bound on the time of what might never end."""
import signal
from contextlib import contextmanager


def _too_slow(*_):
    raise TimeoutError


@contextmanager
def in_time(seconds):
    """Raise TimeoutError in the block after so many seconds, also inside a read that waits."""
    before = signal.signal(signal.SIGALRM, _too_slow)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
