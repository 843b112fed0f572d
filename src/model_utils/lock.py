"""Locks between processes: one run at a time in an output folder, and one process of a server that acts for all."""
import fcntl
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from src.model_utils.errors import UNetError
from src.model_utils.files import make_folder
from src.model_utils.trust import check_trusted, open_unlinked

POLL_SECONDS = 0.1

# Each of these bytes of a ServerLock's file is a lock of its own.
# OWNER: held by the process that acts for the group, as long as it lives.
# READY: held by the same process once its first action is done.
# MEMBERS: shared by all processes of the group.
# LAST: held by the process that does the last action when the owner cannot.
OWNER, READY, MEMBERS, LAST = range(4)

# Content of a ServerLock's file after the last action. Before that, it is the error of the first action, or empty.
DONE = "done"


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until no other process is in such a block with the file ``path``, which stays. Raises OSError."""
    with os.fdopen(open_unlinked(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


class FolderLock:
    """A lock on a folder, held until the end of the ``with`` block or of the process.

    It is a lock of the operating system on the file ``.lock``, so it ends with the process, however that ends: the
    file of a killed run locks nothing. The file says who holds the lock.

    Raises:
        UNetError: another process holds the lock, or the folder cannot be written.
    """

    NAME = ".lock"

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / self.NAME
        try:
            make_folder(self.path.parent)
            self._file = self._acquire()
        except OSError as error:
            raise UNetError(f"cannot write into the output folder {folder}: {error.strerror}{self._of_another_user()}; "
                            f"give another --output_path") from None

    def _of_another_user(self) -> str:
        """Say whose the file is, if it is not this user's."""
        with suppress(OSError):
            owner = os.lstat(self.path).st_uid
            if owner != os.getuid():
                return f": {self.path} belongs to user {owner}, who must remove it if no run of theirs is left"
        return ""

    def _acquire(self) -> TextIO:
        while True:
            file = os.fdopen(open_unlinked(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+", encoding="utf-8")
            try:
                # Not flock: data workers inherit its locks, and may outlive a killed run.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                file.close()
                raise UNetError(f"the output folder {self.path.parent} is in use by {holder}; wait for it, or give "
                                f"another --output_path") from None
            if self._is_current(file):
                self._sign(file)
                return file
            file.close()     # its holder removed it after we opened it and before we locked it

    def _sign(self, file: TextIO) -> None:
        """Write into the file who holds the lock."""
        try:
            file.truncate(0)
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {now}\n")
            file.flush()
        except OSError:
            self.path.unlink(missing_ok=True)
            raise

    def _is_current(self, file: TextIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), os.stat(self.path))
        except FileNotFoundError:
            return False

    def __enter__(self) -> "FolderLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Remove the file and release the lock."""
        self.path.unlink(missing_ok=True)
        self._file.close()


class ServerLock:
    """A group of processes on one server, one of which acts for all.

    Processes that use the same name on the same server are one group. The first of them is the owner, as long as it
    lives. The locks are the operating system's and end with the process, however that ends: nobody waits for a dead
    process, and the file of a killed one locks nothing.

    Args:
        name (str): name of the group.
        seconds (float): longest time to wait for the owner.

    Raises:
        UNetError: no folder for temporary files can be written, or the last action of an earlier group takes longer
            than ``seconds``.
        Untrusted: another user has made the folder, or can write it.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self.path = Path(tempfile.gettempdir()) / f"unet_mindspore-{os.getuid()}" / f"{name}.lock"
        self.seconds = seconds
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_trusted(self.path.parent, "; remove it, or set TMPDIR to a folder of your own")
            # Opened only once: closing a second file descriptor would release this process's locks.
            self._file = open_unlinked(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UNetError(f"cannot write {self.path}: {error.strerror}; set TMPDIR to a folder that can be "
                            f"written") from None
        # An earlier group in its last action holds MEMBERS. It would not wait for this process.
        if not _wait(lambda: self._lock(MEMBERS, fcntl.LOCK_SH), seconds):
            raise UNetError(f"waited {seconds} s for an earlier run that copies its output; raise modelarts_timeout "
                            f"if it has more to copy")
        self.is_owner = self._lock(OWNER)

    def once(self, action: Callable[[], object]) -> None:
        """Call ``action`` in the owner. The other processes wait until it is done.

        Raises:
            UNetError: ``action`` raised it, which all processes then raise; or the owner died or took too long.
        """
        if not self.is_owner:
            self._wait_for_owner()
            return
        self._write("")
        try:
            action()
        except UNetError as error:
            self._write(str(error))
            self._unlock(OWNER)
            raise
        # Waits, because other processes hold the lock for a moment when they ask for it.
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, READY)

    def leave(self, last_action: Callable[[], object], failed: bool, seconds: float) -> str | None:
        """Leave the group. When all its processes have left, or after ``seconds``, ``last_action`` is called once.

        The owner calls it. If the owner cannot (it died, or hangs because this process has ``failed``), one of the
        processes that failed calls it.

        Returns:
            str: the text of the UNetError that ``last_action`` raised, or None.
        """
        self._unlock(MEMBERS)
        try:
            if self.is_owner:
                _wait(lambda: self._lock(MEMBERS), seconds)
            elif not failed or self._is_done(seconds) or not self._lock(LAST):
                return None
            last_action()
            self._write(DONE)
        except UNetError as error:
            return str(error)
        finally:
            os.close(self._file)
        return None

    def _is_done(self, seconds: float) -> bool:
        """Wait until the last action is done or the owner has gone; return whether it is done."""
        _wait(lambda: self._read() == DONE or not self._is_held(OWNER), seconds)
        return self._read() == DONE

    def _wait_for_owner(self) -> None:
        if not _wait(lambda: self._is_held(READY) or not self._is_held(OWNER), self.seconds):
            raise UNetError(f"waited {self.seconds} s for the process of this server that copies; raise "
                            f"modelarts_timeout if it has more to copy")
        if not self._is_held(READY):
            raise UNetError(self._read() or "the process of this server that copies ended before it was done; see its "
                                            "log")

    def _lock(self, byte: int, how: int = fcntl.LOCK_EX) -> bool:
        """Try to take the lock of a byte; return whether that succeeded."""
        try:
            fcntl.lockf(self._file, how | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)

    def _is_held(self, byte: int) -> bool:
        """Return whether another process holds the lock of a byte."""
        free = self._lock(byte, fcntl.LOCK_SH)
        if free:
            self._unlock(byte)
        return not free

    def _read(self) -> str:
        return os.pread(self._file, 4096, 0).decode(errors="replace")

    def _write(self, text: str) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text.encode()[:4096], 0)


def _wait(condition: Callable[[], Any], seconds: float) -> Any:
    """Poll ``condition`` until it holds, and return its value; return False when ``seconds`` are over."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return answer
