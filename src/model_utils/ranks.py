"""What the ranks of a run tell each other beside the gradients: that one has failed, is busy, or wants to stop.

Each message is the sum over all ranks of a small matrix, of which every rank fills its own row. All ranks must send
the same number of messages in the same order. A rank that fails between two steps tells the others in its next
message, so no rank waits for gradients that never come.
"""
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from src.model_utils.errors import UNetError
from src.model_utils.runtime import first_line

# Columns of a message.
FAILED, BUSY, STOP, VALUE = range(4)
# Seconds between two messages of a busy rank. MindSpore's sum on CPUs waits for 30 s and then gives up.
HEARTBEAT = 2


class OtherRankFailed(UNetError):
    """Another rank has failed or is lost. The run ends, and there is nobody left to tell."""


class Ranks:
    """The ranks of a run. With a single rank nothing is sent.

    Args:
        rank (int): rank of this process, from 0.
        size (int): number of ranks.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self._last_message = 0.0
        if size > 1:
            from mindspore import ops

            self._sum = ops.AllReduce()

    def _exchange(self, failed: bool = False, busy: bool = False, stop: bool = False, value: float = 0.0) -> np.ndarray:
        """Send the message of this rank; return those of all ranks, (size, 4) float32."""
        rows = np.zeros((self.size, 4), np.float32)
        rows[self.rank] = failed, busy, stop, value
        if self.size > 1:
            from mindspore import Tensor

            with self.collective():
                rows = self._sum(Tensor(rows)).asnumpy()
        self._last_message = time.monotonic()
        return rows

    @contextmanager
    def collective(self) -> Iterator[None]:
        """Turn the RuntimeError of a sum over all ranks that does not end into a UNetError."""
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or "AllReduce" not in str(error):
                raise
            raise OtherRankFailed(f"rank {self.rank} has lost the other ranks ({first_line(error)}); their logs say "
                                  f"why") from None

    @contextmanager
    def reporting_failure(self) -> Iterator[None]:
        """Tell the other ranks if the work in this block fails; they then fail in ``synchronize``.

        It belongs around work between two steps that can fail on a single rank.
        """
        try:
            yield
        except OtherRankFailed:
            raise
        except Exception:
            with suppress(UNetError):
                self._exchange(failed=True)
            raise

    def synchronize(self, stop: bool = False) -> bool:
        """Wait for all ranks, however long they are busy. Return whether one of them wants to ``stop``.

        Raises:
            UNetError: another rank has failed.
        """
        while True:
            rows = self._exchange(stop=stop)
            self._check(rows)
            if not rows[:, BUSY].any():
                return bool(rows[:, STOP].any())

    def values(self, value: float) -> np.ndarray:
        """Return the ``value`` of each rank, (size,) float32.

        Raises:
            UNetError: another rank has failed.
        """
        rows = self._exchange(value=value)
        self._check(rows)
        return rows[:, VALUE]

    def with_heartbeat(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, whose calls now and then tell the waiting ranks that this one is busy.

        Such a call raises UNetError if another rank has failed meanwhile.
        """
        def call(*args: Any) -> Any:
            if time.monotonic() - self._last_message > HEARTBEAT:
                self._check(self._exchange(busy=True))
            return function(*args)
        return call if self.size > 1 else function

    def _check(self, rows: np.ndarray) -> None:
        failed = np.flatnonzero(rows[:, FAILED])
        if len(failed):
            raise OtherRankFailed(f"rank {', '.join(map(str, failed))} has failed, so rank {self.rank} ends too; the "
                                  f"log of that rank says why")
