"""Locks in folders that others can write."""
import os
import tempfile

import pytest

from src.model_utils import lock
from src.model_utils.errors import UNetError
from src.model_utils.lock import FolderLock, ServerLock
from src.model_utils.trust import Untrusted
from src.report.history import STEP, History, Row
from tests.support.owners import give_away


@pytest.fixture
def victim(tmp_path):
    """A file that no attack may change."""
    path = tmp_path / "victim"
    path.write_text("mine")
    yield path
    assert path.read_text() == "mine"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, and the project's own one in it, which is not there yet."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"unet_mindspore-{os.getuid()}"


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_planted_lock(tmp_path, victim, link):
    (tmp_path / "out").mkdir()
    link(victim, tmp_path / "out" / ".lock")
    with pytest.raises(Untrusted, match=r"out/.lock is a link or no file, through which nothing is written; remove it"):
        FolderLock(tmp_path / "out")


def test_a_planted_fifo(tmp_path):
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(Untrusted, match=r".lock is a link or no file"):
        FolderLock(tmp_path)


def test_a_lock_that_a_colleague_has_left(tmp_path, monkeypatch):
    """Of a killed run; only its owner can write it."""
    def refuse(*_):
        raise PermissionError(13, "Permission denied")
    (tmp_path / FolderLock.NAME).touch()
    give_away(tmp_path / FolderLock.NAME, monkeypatch)
    monkeypatch.setattr(lock, "open_unlinked", refuse)
    with pytest.raises(UNetError, match=r"cannot write into the output folder .*: Permission denied: .*/\.lock belongs "
                                        r"to user \d+, who must remove it if no run of theirs is left; give another"):
        FolderLock(tmp_path)


def test_an_honest_lock(tmp_path):
    """The file of a killed run, of whomever, stops nobody."""
    (tmp_path / ".lock").write_text("process 1 on another machine")
    with FolderLock(tmp_path) as lock:
        assert lock.path.read_text().startswith(f"process {os.getpid()} ")
    assert not os.listdir(tmp_path)


def test_a_planted_history(tmp_path, victim):
    history = History(tmp_path / "out")
    history.start(0)
    history.path.unlink()
    history.path.symlink_to(victim)
    with pytest.raises(Untrusted, match="history.csv is a link"):
        history.append(Row(1, 1, STEP))


def test_the_folder_of_a_server(temporary):
    assert ServerLock("x", 1).is_owner
    assert oct(temporary.stat().st_mode)[-3:] == "700"


def test_a_planted_folder_of_a_server(temporary, tmp_path):
    (tmp_path / "planted").mkdir()
    temporary.symlink_to(tmp_path / "planted")
    with pytest.raises(Untrusted, match="a symbolic link; remove it, or set TMPDIR to a folder of your own"):
        ServerLock("x", 1)
    temporary.unlink()
    temporary.mkdir()
    temporary.chmod(0o777)
    with pytest.raises(Untrusted, match="other users can write it"):
        ServerLock("x", 1)
    assert not os.listdir(temporary)


def test_a_planted_lock_of_a_server(temporary, victim):
    temporary.mkdir(mode=0o700)
    (temporary / "x.lock").symlink_to(victim)
    with pytest.raises(Untrusted, match="x.lock is a link"):
        ServerLock("x", 1)
