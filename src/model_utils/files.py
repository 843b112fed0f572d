"""Files that appear whole or not at all, their names in an output folder, and the order of file names."""
import hashlib
import io
import json
import logging
import math
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from src.model_utils.errors import UNetError, encodable
from src.model_utils.trust import check_links

# What the output folders of train.py, eval.py and train_folds.py hold.
RUN_JSON, CONFIG_YAML, SPLITS_JSON = "run.json", "config.yaml", "splits.json"
DATASET_JSON, DATASET_JPG, CLASS_COUNTS_JSON = "dataset.json", "dataset.jpg", "class_counts.json"
HISTORY_CSV, PROGRESS_PNG, REPORT_HTML = "history.csv", "progress.png", "report.html"
PREDICTION_HTML = "prediction.html"     # by predict.py, beside the report of a run
TENSORBOARD, PROFILE = "tensorboard", "profile"
METRICS_JSON, DRAW_EVAL = "metrics.json", "draw_eval"
FOLDS_JSON, FOLDS_MD = "folds.json", "folds.md"

WEEK = 7 * 24 * 3600    # seconds

logger = logging.getLogger("unet")


class OptionalFile:
    """A file, or several of a kind, that a script can do without: a record or a picture.

    Where it cannot be written, a warning says so, and it is not tried again.

    Attributes:
        failed (bool): whether it could not be written.
    """

    def __init__(self) -> None:
        self.failed = False

    def write(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function(*args)``, which writes the file, or raises UNetError."""
        if self.failed:
            return
        try:
            function(*args)
        except UNetError as error:
            self.failed = True
            logger.warning("WARNING: %s; going on without it", error)


@contextmanager
def replacing(path: str | Path, mode: int = 0o666) -> Iterator[Path]:
    """Yield a temporary path; the file written there replaces ``path`` at the end.

    It is in a folder beside ``path`` that only this user can enter: in a shared folder others could plant links in its
    place, through which another file would be written. The file is flushed to the disk before it is renamed, so a crash
    leaves the old file or the new one. After an error the temporary file is removed and the old file stays.

    Args:
        path: the file.
        mode: its permissions, of which the user's umask withholds some.

    Raises:
        UNetError: the folder cannot be made or written, the disk is full, or see ``make_folder``.
    """
    path = Path(path)
    folder = temporary_path(path)
    temporary = folder / path.name
    try:
        with writing(path):
            make_folder(path.parent)
            folder.mkdir(mode=0o700)
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.chmod(temporary, mode & ~_umask())     # MindSpore makes its checkpoints readable only by their owner
            os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder for results, if it is not there. Raises OSError, and Untrusted as ``check_links``."""
    check_links(folder)
    folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Raise UNetError instead of the OSError that is raised inside, where ``path`` is written."""
    try:
        yield
    except OSError as error:
        raise UNetError(f"cannot write {path}: {error.strerror or error}") from error


class _NoDescriptor(io.FileIO):
    def fileno(self) -> int:
        raise io.UnsupportedOperation("it would be written past this object")


def open_for_arrays(path: str | Path) -> io.BufferedWriter:
    """Open a file into which NumPy or tifffile write arrays.

    They would write to the descriptor of an ordinary file by means of C, and not notice that the last part of an array
    could not be written.
    """
    return io.BufferedWriter(_NoDescriptor(path, "w"))


def temporary_path(path: Path) -> Path:
    """Return a hidden path beside ``path`` for a folder, which nobody can guess and which ``remove_leftovers`` knows.

    It begins with the name of ``path``, for whoever looks at it, and names this process and machine.
    """
    return path.with_name(f".{path.name[:40]}.unet-{os.getpid()}-{_machine()}{secrets.token_hex(8)}")


def _machine() -> str:
    """Return a hash of where process numbers mean the same: the name of this machine, its start, and the container."""
    place = socket.gethostname()
    with suppress(OSError):
        place += Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink("/proc/self/ns/pid")
    return hashlib.blake2s(place.encode(), digest_size=4).hexdigest()


def _umask() -> int:
    """Return the permissions that the user withholds from new files. Setting them is the only way to read them."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def with_ending(file_name: str | Path, ending: str) -> Path:
    """Return the path of ``file_name``, with ``ending`` (".onnx") added unless it ends so already."""
    path = Path(file_name)
    return path if path.suffix.lower() == ending else path.with_name(path.name + ending)


@contextmanager
def encodable_path(path: Path) -> Iterator[Path]:
    """Yield a path to a file that libraries of C++ can open: ``path``, or if it is no UTF-8 that of a copy."""
    if encodable(str(path)) == str(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copyfile(path, Path(folder) / f"file{path.suffix}"))     # MindSpore follows links


def remove_leftovers(folder: str | Path) -> None:
    """Remove the temporary folders of this user's processes that were killed on this machine; all others stay.

    Whether a process of another machine or container still runs, which may share the folder, cannot be seen. Nor can
    that of one from before this machine's last start be told from it. Theirs are removed when they are a week old.

    Raises:
        UNetError: the folder cannot be looked at, or see ``check_links``.
    """
    with writing(folder):
        check_links(Path(folder))
    for path in Path(folder).glob(".*.unet-*"):
        if match := re.search(r"\.unet-(\d+)-([0-9a-f]{8})[0-9a-f]{16}$", path.name):
            with suppress(OSError, UNetError):
                found = path.lstat()
                is_left = (not _is_running(int(match[1])) if match[2] == _machine() else
                           time.time() - found.st_mtime > WEEK)
                if is_left and stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                    remove(path)


def replace_folder(new: Path, old: Path) -> None:
    """Put a folder in the place of another one, which stays if that fails.

    Raises:
        OSError: it cannot be moved.
    """
    aside = temporary_path(old)
    os.replace(old, aside)
    try:
        os.replace(new, old)
    except OSError:
        os.replace(aside, old)
        raise
    remove(aside)


def remove(path: Path) -> None:
    """Remove a file, or a folder with what it holds; a missing one is no error. Raises UNetError."""
    try:
        check_links(path.parent)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise UNetError(f"cannot remove {path}: {error.strerror}") from None


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:     # a process of another user
        pass
    return True


def write_atomically(path: str | Path, data: bytes | memoryview, mode: int = 0o666) -> None:
    """Write ``data`` to ``path``, whole or not at all, with these permissions as far as the umask leaves them."""
    with replacing(path, mode) as temporary:
        temporary.write_bytes(data)


def json_bytes(value: Any, indent: int = 1) -> bytes:
    """Return a value as JSON that every program reads: numbers that are infinite or none become null, and bytes of
    names that are no UTF-8 become text."""
    return json.dumps(_as_json(value), indent=indent, allow_nan=False).encode()


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {_as_json(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, str):
        return encodable(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def natural(name: object) -> list[tuple[bool, int, str]]:
    """Return a sort key that counts numbers in names as numbers: 2.png comes before 10.png."""
    parts = re.split(r"([0-9]+)", str(name))        # not \d or isdigit(), which know more digits than int()
    return [(index % 2 == 1, int(part) if index % 2 else 0, part) for index, part in enumerate(parts)]
