"""Ids of this process, from the launcher on this machine or from ModelArts."""
from types import ModuleType

from src.model_utils import local_adapter, moxing_adapter

__all__ = ["get_device_id", "get_device_num", "get_job_id", "get_rank_id"]


def _adapter(enable_modelarts: bool) -> ModuleType:
    return moxing_adapter if enable_modelarts else local_adapter


def get_device_id(enable_modelarts: bool = False) -> int:
    """Return the number of the card that this process uses."""
    return _adapter(enable_modelarts).get_device_id()


def get_device_num(enable_modelarts: bool = False) -> int:
    """Return the number of cards of the run, which is also its number of processes."""
    return _adapter(enable_modelarts).get_device_num()


def get_rank_id(enable_modelarts: bool = False) -> int:
    """Return the rank of this process."""
    return _adapter(enable_modelarts).get_rank_id()


def get_job_id(enable_modelarts: bool = False) -> str:
    """Return the name of the job: ModelArts' own, or "Local Job"."""
    return _adapter(enable_modelarts).get_job_id()
