"""The one exception that a user, not a developer, has to act on."""


class UNetError(Exception):
    """Wrong usage or bad input.

    The message is one line: what was found, what was expected, where, and what to do. Scripts print it
    and exit with status 2.
    """


def some(names, most=3):
    """The first of ``names`` for a message: "a, b, c, ..."."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
