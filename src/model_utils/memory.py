"""Memory of the machine and of this process: how MindSpore and the C library take less, and how much it was."""
import contextlib
import ctypes
import os
import resource
import sys

POOL_GB = 8             # a block of MindSpore's memory pool
MALLOC_VARIABLES = ("MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
M_MMAP_THRESHOLD = -3   # of malloc.h


def save_memory():
    """Have MindSpore's memory pool on a CPU and the C library touch less memory; only what is touched takes any.

    A new tensor goes into the smallest gap of the pool that holds it. In a block of 1 GB, MindSpore's own, that is
    often the end which nothing has touched yet; in a block much larger than all tensors it never is. What the user
    has settled, by MindSpore's set_memory or the C library's variables, stays.
    """
    import mindspore as ms

    gigabytes = pool_gb()
    if gigabytes:
        with contextlib.suppress(RuntimeError):     # it is settled once in a process
            ms.runtime.set_memory(init_size=f"{gigabytes}GB", increase_size=f"{gigabytes}GB")
    if not any(name in os.environ for name in MALLOC_VARIABLES):
        # glibc raises this threshold to the size of the largest block freed so far, which soon are the initial weights,
        # and keeps smaller ones when they are freed.
        _call_c_library("mallopt", M_MMAP_THRESHOLD, 2**20)


def give_back():
    """Give what the C library holds for later back to the system, after work that will not come again."""
    _call_c_library("malloc_trim", 0)


def pool_gb(overcommit="/proc/sys/vm/overcommit_memory"):
    """A block of MindSpore's pool in GB, at most half of the machine's memory.

    0, for MindSpore's own choice, where that is too little, or the system or the user counts reserved memory.
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


def _call_c_library(name, *arguments):
    """Call a function that glibc has, and others may not."""
    function = getattr(ctypes.CDLL(None), name, None)
    if function:
        function(*arguments)


def machine_bytes():
    """Memory of this machine in bytes; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 0


def peak_memory_gb():
    """Largest resident size of this process so far, in GB (10^9 bytes)."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024 / 1e9
    except (OSError, StopIteration):
        # Elsewhere than on Linux, where it would count the process that started this one too; macOS counts bytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
