"""What killed processes leave behind."""
from unittest import mock

from src.model_utils.files import temporary_path

NO_PROCESS = 2**30     # larger than any process number


def leftover(path, pid=NO_PROCESS):
    """Make the temporary folder of a process that was writing ``path``; returns it."""
    with mock.patch("os.getpid", return_value=pid):
        folder = temporary_path(path)
    folder.mkdir(parents=True)
    (folder / path.name).write_bytes(b"half")
    return folder
