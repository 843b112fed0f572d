"""Ids of this process, from the environment variables that a launcher on this machine sets."""
import os

from src.model_utils.errors import UNetError


def _number(name: str, default: int = 0) -> int:
    text = os.environ.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise UNetError(f"environment: {name} must be a whole number, found {text!r}") from None


def get_device_id() -> int:
    """Return the number of the card that this process uses (``DEVICE_ID``), 0 when not set."""
    return _number("DEVICE_ID")


def get_device_num() -> int:
    """Return the number of cards, and processes, of the run (``RANK_SIZE``), 1 when not set."""
    return _number("RANK_SIZE", 1)


def get_rank_id() -> int:
    """Return the rank of this process (``RANK_ID``), 0 when not set."""
    return _number("RANK_ID")


def get_job_id() -> str:
    """Return the name of the job, which on one's own machine is always the same."""
    return "Local Job"
