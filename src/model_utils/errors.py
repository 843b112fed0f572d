"""The error that a user, not a developer, has to act on."""
import re
from collections.abc import Sequence


class UNetError(Exception):
    """Wrong usage or bad input.

    The message is one line: what was found, what was expected, where, and what to do. Scripts print it
    and exit with status 2.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    r"""Return the text with control characters as escapes, such as \n and \x1b.

    Names and contents of files get into messages. Written as they are, they could forge lines of the log, move the
    cursor of the terminal, or turn the direction of writing around.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def encodable(text: str) -> str:
    r"""Return the text with what has no place in UTF-8 as escapes, for files that other programs read.

    Python holds bytes of file names that are no UTF-8, such as the \xe9 of an old Windows, as halves of pairs.
    """
    return re.sub("[\ud800-\udfff]", lambda found: _escape(found[0]), text)


def _escape(letter: str) -> str:
    return f"\\x{ord(letter) - 0xdc00:02x}" if "\udc80" <= letter <= "\udcff" else (
        letter.encode("unicode_escape").decode())


def first_few(names: Sequence[str], most: int = 3) -> str:
    """Join the first ``most`` names for a message: "a, b, c, ..."."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
