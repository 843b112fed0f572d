"""Locks between processes: one run at a time in an output folder, and one process of a server that acts for all."""
import fcntl
import os
import socket
import tempfile
import time
from pathlib import Path

from src.model_utils.errors import UNetError

POLL_SECONDS = 0.1

# Bytes of the lock file, each a lock of its own: of the one that acts, while it lives; of the same, when it has acted;
# of all that run; of the one that acts in its place at the end.
OWNER, READY, MEMBERS, LAST = range(4)

# What the owner writes into the file at the end; before, what went wrong.
AWAY = "away"


class FolderLock:
    """A lock on a folder, held from its making to the end of its ``with`` block or of the process.

    The lock is the operating system's, on the file ``.lock``: it goes with the process however that ends, so a
    file that a killed run has left behind locks nothing. The file says who holds it.

    Raises:
        UNetError: another process holds the lock, or the folder cannot be written.
    """

    NAME = ".lock"

    def __init__(self, folder):
        self.path = Path(folder) / self.NAME
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._acquire()
        except OSError as error:
            raise UNetError(f"cannot write into the output folder {folder}: {error.strerror}; give another "
                            f"--output_path") from None

    def _acquire(self):
        while True:
            file = open(self.path, "a+", encoding="utf-8")     # noqa: SIM115 - open as long as the lock is held
            try:
                # Not flock: its locks are inherited by data workers, which may outlive a killed run.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                file.close()
                raise UNetError(f"the output folder {self.path.parent} is in use by {holder}; wait for it, or give "
                                f"another --output_path") from None
            if self._is_current(file):
                file.truncate(0)
                now = time.strftime("%Y-%m-%d %H:%M:%S")
                file.write(f"process {os.getpid()} on {socket.gethostname()} since {now}\n")
                file.flush()
                return file
            file.close()     # its holder removed it between our opening and our locking

    def _is_current(self, file):
        try:
            return os.path.samestat(os.fstat(file.fileno()), os.stat(self.path))
        except FileNotFoundError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Give the folder free and remove the file."""
        self.path.unlink(missing_ok=True)
        self._file.close()


class ServerLock:
    """Processes that make it by the same name on the same server are one group.

    The first of them is the owner, for as long as it lives. The locks are the operating system's: they go with the
    process however that ends, so nobody waits for a dead one, and a file that is left behind locks nothing.

    Args:
        name (str): of the group.
        seconds (float): how long the others wait for the owner at most.

    Raises:
        UNetError: there is no folder for temporary files that can be written, or an earlier group takes its output
            away for longer than that.
    """

    def __init__(self, name, seconds):
        self.path = Path(tempfile.gettempdir()) / f"unet_mindspore-{os.getuid()}" / f"{name}.lock"
        self.seconds = seconds
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Closing any other opening of the file would end this process's locks.
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UNetError(f"cannot write {self.path}: {error.strerror}; set TMPDIR to a folder that can be "
                            f"written") from None
        # Not to be had while the owner of an earlier run takes the output away: it would not wait for this process.
        if not _wait(lambda: self._lock(MEMBERS, fcntl.LOCK_SH), seconds):
            raise UNetError(f"waited {seconds} s for an earlier run that takes its output away; raise "
                            f"modelarts_timeout if it has more to copy")
        self.is_owner = self._lock(OWNER)

    def once(self, action):
        """Call ``action`` in the owner; elsewhere wait until that is done.

        Raises:
            UNetError: what ``action`` raised, in all processes; or the owner died, or took too long.
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
        # Others hold it for the moment of asking.
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, READY)

    def leave(self, last_action, failed, seconds):
        """Call ``last_action`` once, when the processes of the group have left, or after ``seconds``.

        It is the owner's to do. Where that cannot (it died, or hangs because this process has ``failed``), one of
        those that failed does it.

        Returns:
            str: the text of the UNetError that ``last_action`` raised, or None.
        """
        self._unlock(MEMBERS)
        try:
            if self.is_owner:
                _wait(lambda: self._lock(MEMBERS), seconds)
            elif not failed or self._is_away(seconds) or not self._lock(LAST):
                return None
            last_action()
            self._write(AWAY)
        except UNetError as error:
            return str(error)
        finally:
            os.close(self._file)
        return None

    def _is_away(self, seconds):
        _wait(lambda: self._read() == AWAY or not self._is_held(OWNER), seconds)
        return self._read() == AWAY

    def _wait_for_owner(self):
        if not _wait(lambda: self._is_held(READY) or not self._is_held(OWNER), self.seconds):
            raise UNetError(f"waited {self.seconds} s for the process of this server that copies; raise "
                            f"modelarts_timeout if it has more to copy")
        if not self._is_held(READY):
            raise UNetError(self._read() or "the process of this server that copies ended before it was done; see its "
                                            "log")

    def _lock(self, byte, how=fcntl.LOCK_EX):
        """Take the lock of a byte; whether it could be taken."""
        try:
            fcntl.lockf(self._file, how | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(self, byte):
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)

    def _is_held(self, byte):
        """Whether another process acts under this lock."""
        free = self._lock(byte, fcntl.LOCK_SH)
        if free:
            self._unlock(byte)
        return not free

    def _read(self):
        return os.pread(self._file, 4096, 0).decode(errors="replace")

    def _write(self, text):
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text.encode()[:4096], 0)


def _wait(condition, seconds):
    """Ask for ``condition`` again and again until it holds, which is returned, or until the time is over."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return answer
