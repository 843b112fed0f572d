"""Ids of this process as a launcher on this machine leaves them in the environment."""
import os

from src.model_utils.errors import UNetError


def _number(name, default=0):
    text = os.environ.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise UNetError(f"environment: {name} must be a whole number, found {text!r}") from None


def get_device_id():
    """Number of the card that this process uses (``DEVICE_ID``), 0 when not set."""
    return _number("DEVICE_ID")


def get_device_num():
    """Number of cards, and processes, of the run (``RANK_SIZE``), 1 when not set."""
    return _number("RANK_SIZE", 1)


def get_rank_id():
    """Number of this process in the run (``RANK_ID``), 0 when not set."""
    return _number("RANK_ID")


def get_job_id():
    """Name of the job; a machine of one's own has none to give."""
    return "Local Job"
