"""Files and folders that decide what this program does: they must be this user's own, such as the cache.

Compiled operators and exported networks run as code. Whoever can write them, or put others in their place, has this
user's rights; so they are taken only from folders that no other user can write. The superuser is trusted: an image of
a container has its files from there.
"""
import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from src.model_utils.errors import UNetError

CACHE_VARIABLE = "UNET_CACHE_DIR"


class Untrusted(UNetError):
    """Another user made a file or folder, or could have changed it."""


def cache_folder(*names: str) -> Path:
    """Return the user's folder for files that can be made again, or a folder in it; make it, for this user only.

    It is ``unet_mindspore`` in the user's cache; the environment variable UNET_CACHE_DIR names another folder.

    Raises:
        Untrusted: see ``check_trusted``.
        UNetError: the folder cannot be made.
    """
    named = os.environ.get(CACHE_VARIABLE)
    try:
        cache = Path(named or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unet_mindspore")
    except RuntimeError:        # a user that the system does not know, in a container
        raise UNetError(f"no place for the cache: user {os.getuid()} has no home folder; set HOME, or name a folder "
                        f"with the environment variable {CACHE_VARIABLE}") from None
    advice = f"; remove it, or name another folder with the environment variable {CACHE_VARIABLE}"
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        for folder in (cache, *(cache.joinpath(*names[:count]) for count in range(1, len(names) + 1))):
            folder.mkdir(mode=0o700, exist_ok=True)
            check_trusted(folder, advice)
    except OSError as error:
        raise UNetError(f"cannot write into the cache: {error.filename}: {error.strerror}{advice}") from None
    return folder


def trusted_file(path: Path, by_group: bool = False) -> Path | None:
    """Return ``path``, None if there is no such file. Raises Untrusted, see ``check_trusted``."""
    if not os.path.lexists(path):
        return None
    check_trusted(path, by_group=by_group)
    return path


def check_trusted(path: Path, advice: str = "; remove it", by_group: bool = False) -> None:
    """Check that only this user, or the superuser, can have written a file or folder.

    Args:
        path: the file or folder.
        advice: end of the message.
        by_group: its group may write it, too.

    Raises:
        Untrusted: it is a symbolic link, of another owner, or writable by others.
        OSError: there is no such file.
    """
    reason = _reason(os.lstat(path), stat.S_IWOTH if by_group else stat.S_IWGRP | stat.S_IWOTH)
    if reason:
        raise Untrusted(f"{path} is not used: {reason}{advice}")


def check_links(folder: Path) -> None:
    """Check that no link of another user leads to a folder in which files are written or removed.

    In a folder that several can write, others could plant links, through which this user's own files would be replaced.
    A link may lead to a folder of whoever made it.

    Raises:
        Untrusted: there is such a link on the way to the folder, or in its place.
        OSError: a part of the path cannot be looked at.
    """
    for part in (folder, *folder.parents):
        with suppress(FileNotFoundError):       # it will be made
            found = os.lstat(part)
            if (stat.S_ISLNK(found.st_mode) and not _is_own(found) and os.stat(part).st_uid != found.st_uid
                    and os.stat(part.parent).st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
                raise Untrusted(f"{part} is a link of user {found.st_uid} to {os.readlink(part)}; nothing is written "
                                f"through it; remove it, or give the folder that it leads to")


def open_unlinked(path: Path, flags: int, mode: int = 0o666) -> int:
    """Open a file that is written where it stands, such as a lock; return the file descriptor.

    Raises:
        Untrusted: it is a link or no regular file, whatever it leads to would be written; or see ``check_links``.
        OSError: it cannot be opened.
    """
    check_links(path.parent)
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        raise Untrusted(f"{path} is a link or no file, through which nothing is written; remove it") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise Untrusted(f"{path} is a link or no file, through which nothing is written; remove it")
    return descriptor


def _reason(found: os.stat_result, others: int) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "it is a symbolic link"
    if not _is_own(found):
        return f"it belongs to user {found.st_uid}, not to user {os.getuid()}"
    if found.st_mode & others:
        return f"other users can write it (mode {stat.S_IMODE(found.st_mode):o})"
    return ""


def _is_own(found: os.stat_result) -> bool:
    return found.st_uid in (os.getuid(), 0)
