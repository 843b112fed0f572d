"""How many processors this process may keep busy."""
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS, MEMBERSHIP = "/sys/fs/cgroup", "/proc/self/cgroup"


def usable_processors(cgroups: str = CGROUPS, membership: str = MEMBERSHIP) -> int:
    """Return how many threads can compute at the same time without getting into another's way, at least 1.

    It is the smallest of: the processors that the process may run on, the quota of its control groups (that of a
    container), both shared with the other ranks of a run on this machine, and OMP_NUM_THREADS.

    Args:
        cgroups: folder of the control groups' file system.
        membership: file that lists the control groups of this process.
    """
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ranks = _ranks_here()
    # msrun --bind_core gives each rank processors of its own.
    limits = [own if "MSRUN_CPU_LIST" in os.environ else own // ranks]
    limits += [int(quota / ranks) for quota in _quotas(Path(cgroups), membership)]
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()     # further ones are for nested loops
    if first.isdigit():
        limits.append(int(first))
    return max(1, min(limits))


def _ranks_here() -> int:
    """Return the number of ranks on this machine, from the variables of mpirun, our launchers and msrun.

    msrun says only the number of ranks on all machines.
    """
    found = (os.environ.get(name, "") for name in ("OMPI_COMM_WORLD_LOCAL_SIZE", "LOCAL_WORKER_NUM", "MS_WORKER_NUM"))
    return next((int(text) for text in found if text.isdigit() and int(text)), 1)


def _quotas(cgroups: Path, membership: str) -> Iterator[float]:
    """Yield the quotas, in processors, of the control groups that this process is in and of those above them."""
    try:
        lines = Path(membership).read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:     # version 2
            folder, quota, period = cgroups, "cpu.max", ""
        elif "cpu" in controllers.split(","):
            folder, quota, period = cgroups / controllers, "cpu.cfs_quota_us", "cpu.cfs_period_us"
            folder = folder if folder.is_dir() else cgroups / "cpu"
        else:
            continue
        inside = PurePosixPath(path.lstrip("/"))
        for group in (inside, *inside.parents):
            try:
                texts = [(folder / group / name).read_text(encoding="ascii") for name in (quota, period) if name]
                microseconds, of = map(int, " ".join(texts).split())
            except (OSError, ValueError):   # not visible in the container, or "max": no quota
                continue
            if microseconds > 0 and of > 0:
                yield microseconds / of
