"""Ids of this process, from this machine's launcher or from ModelArts."""
from src.model_utils import local_adapter, moxing_adapter


def _adapter(enable_modelarts):
    return moxing_adapter if enable_modelarts else local_adapter


def get_device_id(enable_modelarts=False):
    """Number of the card that this process uses."""
    return _adapter(enable_modelarts).get_device_id()


def get_device_num(enable_modelarts=False):
    """Number of cards, and processes, of the run."""
    return _adapter(enable_modelarts).get_device_num()


def get_rank_id(enable_modelarts=False):
    """Number of this process in the run."""
    return _adapter(enable_modelarts).get_rank_id()


def get_job_id(enable_modelarts=False):
    """Name of the job: ModelArts' own, or "Local Job"."""
    return _adapter(enable_modelarts).get_job_id()
