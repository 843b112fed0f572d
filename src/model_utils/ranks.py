"""What the ranks of a run tell each other beside the gradients: that one has failed, is at work, or is to stop.

Each message is one sum over all ranks of a small matrix, of which every rank fills its own row. All ranks have to send
as many messages, in the same order as their steps; so a rank that fails between two steps tells the others when they
ask next, and none waits for gradients that do not come.
"""
import time
from contextlib import contextmanager, suppress

import numpy as np

from src.model_utils.errors import UNetError
from src.model_utils.runtime import first_line

FAILED, AT_WORK, STOP, VALUE = range(4)
# Seconds between two messages of a rank at work; MindSpore's sum on CPUs waits for 30 s and gives up.
HEARTBEAT = 2


class OthersGone(UNetError):
    """Another rank has failed, or is lost: the run ends, and nobody is left to be told."""


class Ranks:
    """The ranks of a run; alone, a rank asks nobody.

    Args:
        rank (int): this process, from 0.
        size (int): number of ranks.
    """

    def __init__(self, rank=0, size=1):
        self.rank, self.size = rank, size
        self._told = 0.0
        if size > 1:
            from mindspore import ops

            self._sum = ops.AllReduce()

    def _tell(self, failed=False, at_work=False, stop=False, value=0.0):
        """(size, 4) float32: what each rank tells."""
        rows = np.zeros((self.size, 4), np.float32)
        rows[self.rank] = failed, at_work, stop, value
        if self.size > 1:
            from mindspore import Tensor

            with self.together():
                rows = self._sum(Tensor(rows)).asnumpy()
        self._told = time.monotonic()
        return rows

    @contextmanager
    def together(self):
        """Around sums over all ranks: the RuntimeError of one that does not come to an end becomes a UNetError."""
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or "AllReduce" not in str(error):
                raise
            raise OthersGone(f"rank {self.rank} has lost the other ranks ({first_line(error)}); their logs say "
                             f"why") from None

    @contextmanager
    def reporting(self):
        """Around work between two steps, in which one rank alone can fail: the others then fail in ``agree``."""
        try:
            yield
        except OthersGone:
            raise
        except Exception:
            with suppress(UNetError):
                self._tell(failed=True)
            raise

    def agree(self, stop=False):
        """Wait for all ranks, however long they are at work. Returns whether one of them wants to ``stop``.

        Raises:
            UNetError: another rank has failed.
        """
        while True:
            rows = self._tell(stop=stop)
            self._check(rows)
            if not rows[:, AT_WORK].any():
                return bool(rows[:, STOP].any())

    def values(self, value):
        """(size,) float32: the ``value`` of each rank."""
        rows = self._tell(value=value)
        self._check(rows)
        return rows[:, VALUE]

    def at_work(self, function):
        """``function``, whose calls tell the others now and then that this rank is at work while they wait.

        Such a call raises UNetError where another rank has failed meanwhile.
        """
        def call(*args):
            if time.monotonic() - self._told > HEARTBEAT:
                self._check(self._tell(at_work=True))
            return function(*args)
        return call if self.size > 1 else function

    def _check(self, rows):
        failed = np.flatnonzero(rows[:, FAILED])
        if len(failed):
            raise OthersGone(f"rank {', '.join(map(str, failed))} has failed, so rank {self.rank} ends too; the log "
                             f"of that rank says why")
