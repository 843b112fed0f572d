"""Log lines about how files are read: each kind is logged for the first file only."""
import logging

logger = logging.getLogger("unet")

_said: set[str] = set()


def say_once(path: object, message: str, is_warning: bool = False) -> None:
    """Log ``message`` about a file, unless the same was logged about another file."""
    if message not in _said:
        _said.add(message)
        logger.log(logging.WARNING if is_warning else logging.INFO, "%s%s: %s; so in all files like it",
                   "WARNING: " if is_warning else "", path, message)
