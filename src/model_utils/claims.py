"""Numbers that files tell about themselves: nothing is allocated or counted by them before they are within bounds."""
import math
from typing import Any

from src.model_utils.errors import UNetError

SCALES = 1e-3, 1e3      # factors by which images are resized
MOST_STEPS = 10**12     # of a run


def claimed(value: Any, least: float, most: float, what: str) -> float:
    """Return a number, or the text of one, that must be from ``least`` to ``most``.

    Raises:
        UNetError: it is none, or outside; the message begins with ``what``, which names the file.
    """
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not least <= number <= most:         # not-a-number fails too
        raise UNetError(f"{what}: expected a number from {least:g} to {most:g}, found {str(value)[:40]!r}")
    return number


def claimed_int(value: Any, least: int, most: int, what: str) -> int:
    """Return a whole number, as ``claimed``."""
    number = claimed(value, least, most, what)
    if not number.is_integer():
        raise UNetError(f"{what}: expected a whole number, found {str(value)[:40]!r}")
    return int(number)
