"""The error that a user, not a developer, has to act on."""
from collections.abc import Sequence


class UNetError(Exception):
    """Wrong usage or bad input.

    The message is one line: what was found, what was expected, where, and what to do. Scripts print it
    and exit with status 2.
    """


def first_few(names: Sequence[str], most: int = 3) -> str:
    """Join the first ``most`` names for a message: "a, b, c, ..."."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
