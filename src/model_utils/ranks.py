"""What the ranks of a run tell each other beside the gradients: that one has failed, or wants to stop.

Each message is a few numbers from every rank to all ranks. All ranks must send the same number of messages in the same
order. A rank that fails between two steps tells the others in its next message, so no rank waits for gradients that
never come. Otherwise the ranks wait for each other as long as it takes.
"""
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from src.model_utils.errors import UNetError
from src.model_utils.runtime import first_line
from src.model_utils.star import Star

# The numbers of a message.
FAILED, STOP, VALUE = range(3)


class OtherRankFailed(UNetError):
    """Another rank has failed or is lost. The run ends, and there is nobody left to tell."""


class Ranks:
    """The ranks of a run. With a single rank nothing is sent.

    Args:
        rank (int): rank of this process, from 0.
        size (int): number of ranks.

    Raises:
        UNetError: a rank cannot be reached.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self._star = Star(rank, size, self._sum) if size > 1 else None

    def _sum(self, message: bytes) -> bytes:
        """Return the sum of the messages of all ranks, byte by byte, by MindSpore's means."""
        from mindspore import Tensor, ops

        with self.collective():
            return bytes(ops.AllReduce()(Tensor(np.frombuffer(message, np.uint8).astype(np.float32))).asnumpy()
                         .astype(np.uint8))

    def _exchange(self, failed: bool = False, stop: bool = False, value: float = 0.0) -> np.ndarray:
        """Send the message of this rank; return those of all ranks, (size, 3) float64."""
        own = np.array([failed, stop, value], np.float64)
        if not self._star:
            return own[None]
        try:
            # A rank that has failed has nothing to wait for.
            rows = self._star.exchange(own.tobytes(), wait=not failed)
        except OSError:     # also a machine that does not answer
            raise OtherRankFailed(f"rank {self.rank} has lost the other ranks (rank 0 has ended); their logs say "
                                  f"why") from None
        return np.stack([[1, 0, 0] if row is None else np.frombuffer(row, np.float64) for row in rows])

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
        """Wait for all ranks. Return whether one of them wants to ``stop``.

        Raises:
            UNetError: another rank has failed.
        """
        rows = self._exchange(stop=stop)
        self._check(rows)
        return bool(rows[:, STOP].any())

    def values(self, value: float) -> np.ndarray:
        """Return the ``value`` of each rank, (size,) float64.

        Raises:
            UNetError: another rank has failed.
        """
        rows = self._exchange(value=value)
        self._check(rows)
        return rows[:, VALUE]

    def _check(self, rows: np.ndarray) -> None:
        failed = np.flatnonzero(rows[:, FAILED])
        if len(failed):
            raise OtherRankFailed(f"rank {', '.join(map(str, failed))} has failed, so rank {self.rank} ends too; the "
                                  f"log of that rank says why")
