"""The control groups that this process is in, by which a container, a service or a scheduler's job is limited."""
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS, MEMBERSHIP = "/sys/fs/cgroup", "/proc/self/cgroup"


def group_folders(controller: str, cgroups: str = CGROUPS, membership: str = MEMBERSHIP) -> Iterator[tuple[Path, bool]]:
    """Yield the folders of the group of this process and of those above it, and whether they are of version 2.

    Args:
        controller: what the groups limit, such as cpu.
        cgroups: folder of the control groups' file system. Not all groups need be visible there.
        membership: file that lists the control groups of this process.
    """
    try:
        lines = Path(membership).read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        folder = Path(cgroups)
        if controllers:     # version 1
            if controller not in controllers.split(","):
                continue
            folder = folder / controllers if (folder / controllers).is_dir() else folder / controller
        inside = PurePosixPath(path.lstrip("/"))
        for group in (inside, *inside.parents):
            yield folder / group, not controllers
