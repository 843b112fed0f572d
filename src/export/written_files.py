"""Lists of the files that a program of this project has written into a folder, and may replace and remove there.

All other files are somebody's own.
"""
import json
from collections.abc import Iterable
from pathlib import Path

from src.model_utils.errors import UNetError
from src.model_utils.files import remove, write_atomically
from src.model_utils.inputs import read_input
from src.model_utils.trust import trusted_file


def read_list(path: Path, program: str) -> set[str]:
    """Return the names in a list, of files in its own folder; none if there is no list.

    Args:
        path (Path): the list.
        program (str): who keeps it, for the message.

    Raises:
        UNetError: the list cannot be read, or another user can have written it: it would name files of this user.
    """
    if not trusted_file(path, by_group=True):       # a group whose members can write it can remove the files, too
        return set()
    try:
        names = json.loads(read_input(path))
        return {name for name in names if name == Path(name).name}
    except (OSError, UNetError, ValueError, TypeError, RecursionError):
        raise UNetError(f"{path}, the list of what {program} wrote, cannot be read; remove it and the files of "
                        f"earlier calls") from None


def write_list(path: Path, names: Iterable[str]) -> None:
    """Write a list in place of the earlier one."""
    write_atomically(path, json.dumps(sorted(names)).encode(), 0o664)


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files, and leave folders: no list names one that was written here, but it may name ".."."""
    for path in paths:
        if path.is_symlink() or not path.is_dir():
            remove(path)
