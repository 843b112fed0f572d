"""Files that others have made: regular files only, and no more of them than their kind may have.

A FIFO would be waited for without end, and /dev/zero would be read without end.
"""
import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from src.model_utils.errors import UNetError

MB = 10**6
# Bytes that files of a kind may have: lists of names and settings; annotations, of which COCO's own have 450 MB;
# images that are read whole, of which the largest page has 2.4 GB of numbers; networks and their weights.
MOST_TEXT, MOST_ANNOTATIONS, MOST_IMAGE, MOST_NETWORK = 64 * MB, 2_000 * MB, 4_000 * MB, 8_000 * MB

BLOCK = 65536

# What is raised where values of some type and form are expected, and others are found.
WRONG_CONTENT = ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError

_Made = TypeVar("_Made")

_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def not_there(path: str | Path, expected: str) -> str:
    """Say that there is no such file ("no such checkpoint: x.ckpt"), or what is in its place.

    Args:
        path: what is no regular file.
        expected: what the file would be, such as "checkpoint".
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except OSError:
        return f"no such {expected}: {path}"
    return f"{path}: {_KINDS.get(kind, 'a folder')}, where a {expected} is expected"


def file_status(path: str | Path) -> os.stat_result:
    """Return what the system says of a file. Raises UNetError if it is gone."""
    try:
        return os.stat(path)
    except OSError as error:
        raise UNetError(f"{path}: {error.strerror}") from None


class MissingFile(UNetError):
    """There is no file of this name."""


class WrongContent(UNetError):
    """A file that holds something else than its name says."""


def open_input(path: str | Path, most: int | None = None) -> BinaryIO:
    """Open a file to read its bytes.

    Args:
        path: the file, or a symbolic link to it.
        most: bytes that it may have; None for files that are never read whole.

    Raises:
        UNetError: it is no regular file, or has more bytes.
        OSError: it cannot be opened.
    """
    # Without O_NONBLOCK a FIFO would be waited for; for regular files it means nothing.
    file = open(path, "rb",     # noqa: SIM115 - the caller closes it
                opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_NOCTTY))
    found = os.fstat(file.fileno())
    problem = ""
    if kind := _KINDS.get(stat.S_IFMT(found.st_mode)):
        problem = f"{kind}, where a regular file is expected"
    elif most is not None and found.st_size > most:
        problem = f"{found.st_size / MB:.4g} MB; a file of this kind has at most {most / MB:.4g} MB"
    if problem:
        file.close()
        raise UNetError(f"{path}: {problem}")
    return file


def read_input(path: str | Path, most: int = MOST_TEXT) -> bytes:
    """Read a whole file. Raises as ``open_input``, also for one that grows beyond ``most`` bytes while it is read."""
    data = b""
    with open_input(path, most) as file:
        size = os.fstat(file.fileno()).st_size      # read() allocates what it is asked for
        while len(data) <= most and (more := file.read(max(size + 1 - len(data), BLOCK))):
            data += more
    if len(data) > most:
        raise UNetError(f"{path}: more than {most / MB:.4g} MB; a file of this kind has no more")
    return data


def hash_of(path: str | Path, most: int = MOST_NETWORK) -> "hashlib._Hash":
    """Return the SHA-256 hash of a file, which is never whole in memory. Raises as ``open_input``."""
    found = hashlib.sha256()
    with open_input(path, most) as file:
        while block := file.read(MB):
            found.update(block)
    return found


def read_json(path: str | Path, make: Callable[[Any], _Made], wrong: str = "not what this project writes there",
              advice: str = "", most: int = MOST_TEXT) -> _Made:
    """Read a JSON file, and make of it what the program needs.

    Args:
        path: the file.
        make: returns the result of what the file holds; it need not check types.
        wrong: what is said of a file that holds something else.
        advice: what to do then, with a semicolon before it.
        most: bytes that the file may have.

    Raises:
        MissingFile: there is no such file.
        WrongContent: it holds something else.
        UNetError: it cannot be read; or what ``make`` raises.
    """
    try:
        data = read_input(path, most)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(f"no such file: {path}{advice}") from None
    except OSError as error:
        raise UNetError(f"{path}: cannot be read: {error.strerror}") from None
    except UNetError as error:
        raise UNetError(f"{path}: {wrong} ({error}){advice}") from None
    try:
        return make(json.loads(data))
    except WRONG_CONTENT as error:
        raise WrongContent(f"{path}: {wrong} ({type(error).__name__}: {str(error)[:100]}){advice}") from None
