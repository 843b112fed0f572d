"""Memory of the machine and of this process: how much there is, and how MindSpore and the C library take less of it."""
import contextlib
import ctypes
import os
import resource
import sys

from src.model_utils.control_groups import CGROUPS, MEMBERSHIP, group_folders

POOL_GB = 8             # size of a block of MindSpore's memory pool
MALLOC_VARIABLES = ("MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
M_MMAP_THRESHOLD = -3   # from malloc.h


def save_memory() -> None:
    """Make MindSpore's memory pool on a CPU and the C library use less memory.

    A new tensor goes into the smallest gap of the pool that holds it. In a block of 1 GB, MindSpore's default, that is
    often the end, which nothing has used yet and which therefore costs more memory. In a block much larger than all
    tensors together it never is, and only the used part of a block takes memory. What the user has set, by MindSpore's
    set_memory or the C library's environment variables, stays.
    """
    import mindspore as ms

    gigabytes = pool_gb()
    if gigabytes:
        with contextlib.suppress(RuntimeError):     # it can be set only once in a process
            ms.runtime.set_memory(init_size=f"{gigabytes}GB", increase_size=f"{gigabytes}GB")
    if not any(name in os.environ for name in MALLOC_VARIABLES):
        # glibc raises this threshold to the size of the largest block freed so far, which soon is that of the initial
        # weights. It then keeps smaller blocks instead of returning them to the system.
        _call_c_library("mallopt", M_MMAP_THRESHOLD, 2**20)


def release_free_memory() -> None:
    """Return the memory that the C library keeps for later to the system. Call it after work that happens only once."""
    _call_c_library("malloc_trim", 0)


def pool_gb(overcommit: str = "/proc/sys/vm/overcommit_memory") -> int:
    """Return the size in GB of a block of MindSpore's pool, at most half of the machine's memory.

    0 stands for MindSpore's own choice: half of the memory is too little, or reserved memory counts, because the system
    does not overcommit or the user has set a limit.
    """
    try:
        with open(overcommit, encoding="ascii") as file:
            counted = file.read().strip() == "2"
        limits = [resource.getrlimit(limit)[0] for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    except OSError:
        return 0
    half = machine_bytes() // 2**31
    if counted or any(limit != resource.RLIM_INFINITY for limit in limits) or half < 2:
        return 0
    return min(POOL_GB, half)


def _call_c_library(name: str, *arguments: int) -> None:
    """Call a function of glibc; other C libraries may not have it."""
    function = getattr(ctypes.CDLL(None), name, None)
    if function:
        function(*arguments)


def machine_bytes() -> int:
    """Return the memory of this machine in bytes, or 0 if the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 0


def available_bytes(meminfo: str = "/proc/meminfo", cgroups: str = CGROUPS, membership: str = MEMBERSHIP) -> int:
    """Return the memory in bytes that new data can take; 0 if the system is silent.

    Within the limit of a container or job it is what its processes have left, and what they read from files.
    """
    try:
        with open(meminfo, encoding="ascii") as file:
            free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 0
    for folder, is_second in group_folders("memory", cgroups, membership):
        names = ("max", "current", "inactive_file") if is_second else (
            "limit_in_bytes", "usage_in_bytes", "total_inactive_file")
        with contextlib.suppress(OSError, ValueError):      # no such group, or "max"
            limit, used = (int((folder / f"memory.{name}").read_text()) for name in names[:2])
            counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            free = min(free, max(1, limit - used + int(counts.get(names[2], 0))))
    return free


def peak_memory_gb() -> float:
    """Return the largest resident size of this process so far, in GB (10^9 bytes)."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024 / 1e9
    except (OSError, StopIteration):
        # Not used on Linux, where it would include the process that started this one. macOS counts bytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
