"""How many processors this process may keep busy."""
import os
from collections.abc import Iterator

from src.model_utils.control_groups import CGROUPS, MEMBERSHIP, group_folders


def available_processors(cgroups: str = CGROUPS, membership: str = MEMBERSHIP) -> int:
    """Return how many processes can work at the same time, at least 1.

    It is the number of processors that this one may run on, or the quota of its control groups if that is smaller.
    """
    return max(1, int(min([_own(), *_quotas(cgroups, membership)])))


def usable_processors(cgroups: str = CGROUPS, membership: str = MEMBERSHIP) -> int:
    """Return how many threads can compute at the same time without getting into another's way, at least 1.

    It is the smallest of: the processors that the process may run on, the quota of its control groups (that of a
    container), both shared with the other ranks of a run on this machine, and OMP_NUM_THREADS.

    Args:
        cgroups: folder of the control groups' file system.
        membership: file that lists the control groups of this process.
    """
    own, ranks = _own(), _ranks_here()
    # msrun --bind_core gives each rank processors of its own.
    limits = [own if "MSRUN_CPU_LIST" in os.environ else own // ranks]
    limits += [int(quota / ranks) for quota in _quotas(cgroups, membership)]
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()     # further ones are for nested loops
    if first.isdigit():
        limits.append(int(first))
    return max(1, min(limits))


def _own() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ranks_here() -> int:
    """Return the number of ranks on this machine, from the variables of mpirun, our launchers and msrun.

    msrun says only the number of ranks on all machines.
    """
    found = (os.environ.get(name, "") for name in ("OMPI_COMM_WORLD_LOCAL_SIZE", "LOCAL_WORKER_NUM", "MS_WORKER_NUM"))
    return next((int(text) for text in found if text.isdigit() and int(text)), 1)


def _quotas(cgroups: str, membership: str) -> Iterator[float]:
    """Yield the quotas, in processors, of the control groups that this process is in and of those above them."""
    for folder, is_second in group_folders("cpu", cgroups, membership):
        names = ["cpu.max"] if is_second else ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        try:
            microseconds, of = map(int, " ".join((folder / name).read_text(encoding="ascii") for name in names).split())
        except (OSError, ValueError):   # not visible in the container, or "max": no quota
            continue
        if microseconds > 0 and of > 0:
            yield microseconds / of
