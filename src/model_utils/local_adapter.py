"""Ids of this process as a launcher on this machine leaves them in the environment."""
import os

from src.model_utils.errors import UNetError


def _number(name):
    text = os.environ.get(name, "0")
    try:
        return int(text)
    except ValueError:
        raise UNetError(f"environment: {name} must be a whole number, found {text!r}") from None


def get_device_id():
    """Number of the card that this process uses (``DEVICE_ID``), 0 when not set."""
    return _number("DEVICE_ID")
