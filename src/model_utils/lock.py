"""One run at a time in an output folder."""
import fcntl
import os
import socket
import time
from pathlib import Path

from src.model_utils.errors import UNetError


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
