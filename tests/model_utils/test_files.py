"""Files appear whole or not at all."""
import os
import re
import stat
import time

import numpy as np
import pytest

from src.model_utils.errors import UNetError
from src.model_utils.files import (
    encodable_path,
    open_for_arrays,
    remove,
    remove_leftovers,
    replace_folder,
    replacing,
    write_atomically,
)
from tests.support.leftovers import leftover
from tests.support.owners import foreign_link


def test_writes_and_makes_folders(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(path.parent) == ["b.txt"]


@pytest.mark.parametrize("umask, mode", [(0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_the_users(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "mine", b"one")
    finally:
        assert os.umask(before) == umask
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == mode


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "b.txt"
    write_atomically(path, b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["b.txt"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UNetError, match="cannot write .*file/x"):
        write_atomically(tmp_path / "file" / "x", b"")


def test_the_end_of_an_array_is_not_lost_in_silence(tmp_path):
    """NumPy leaves it to fclose, whose error it does not look at."""
    with pytest.raises(OSError, match="No space left"), open_for_arrays("/dev/full") as file:
        np.save(file, np.zeros(3))
    with open_for_arrays(tmp_path / "x.npy") as file:
        np.save(file, np.arange(9.0))
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), np.arange(9.0))


def test_a_folder_that_cannot_be_replaced_stays(tmp_path):
    for name in ("old", "new"):
        write_atomically(tmp_path / name / "x", name.encode())
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "missing", tmp_path / "old")
    assert (tmp_path / "old" / "x").read_bytes() == b"old"
    replace_folder(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "x").read_bytes() == b"new" and os.listdir(tmp_path) == ["old"]


# ---- in a folder that others can write


def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path):
    """What it points at stays as it is."""
    victim, path = tmp_path / "victim", tmp_path / "shared" / "file"
    victim.write_text("mine")
    path.parent.mkdir()
    path.symlink_to(victim)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and not path.is_symlink() and victim.read_text() == "mine"


def test_nothing_is_written_or_removed_behind_a_link_of_another_user(tmp_path, monkeypatch):
    own, link = tmp_path / "own", tmp_path / "output" / "predictions"
    write_atomically(own / "x", b"old")
    write_atomically(own / "folder" / "x", b"old")
    killed = leftover(own / "killed")
    link.parent.mkdir()
    link.parent.chmod(0o777)
    foreign_link(link, own, monkeypatch)
    for action in (lambda: write_atomically(link / "x", b"new"), lambda: write_atomically(link / "a" / "y", b"new"),
                   lambda: remove(link / "x"), lambda: remove(link / "folder"), lambda: remove_leftovers(link)):
        with pytest.raises(UNetError, match="output/predictions is a link of user"):
            action()
    assert {path.name for path in own.iterdir()} == {"x", "folder", killed.name} and (own / "x").read_bytes() == b"old"


def test_an_own_link_to_a_folder_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "predictions").symlink_to("disk")
    write_atomically(tmp_path / "predictions" / "x", b"new")
    assert (tmp_path / "disk" / "x").read_bytes() == b"new" and (tmp_path / "predictions").is_symlink()


def test_nobody_else_can_reach_a_temporary_file(tmp_path):
    """Nor guess its name: each one is another."""
    names = set()
    for _ in range(3):
        with replacing(tmp_path / "file") as temporary:
            temporary.touch()
            assert stat.S_IMODE(temporary.parent.stat().st_mode) == 0o700
            names.add(temporary.parent.name)
    assert len(names) == 3 and all(re.fullmatch(r"\.file\.unet-\d+-[0-9a-f]{24}", name) for name in names)


def test_the_suffix_stays(tmp_path):
    """MindSpore and OpenCV choose the format by it; names may be as long as the file system takes them."""
    with replacing(tmp_path / ("x" * 250 + ".ckpt")) as temporary:
        temporary.touch()
        assert temporary.suffix == ".ckpt"
    assert os.listdir(tmp_path) == ["x" * 250 + ".ckpt"]


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    leftover(tmp_path / "killed.ckpt")
    running = leftover(tmp_path / "running.ckpt", os.getppid())
    (tmp_path / ".hidden.ckpt").touch()
    (tmp_path / ".backup.20240101.tar").touch()
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([running.name, ".hidden.ckpt", ".backup.20240101.tar"])


def test_what_others_made_is_no_leftover(tmp_path, monkeypatch):
    """A file, a link, another name, a process of another machine, a folder of another user."""
    name = leftover(tmp_path / "a").name
    (tmp_path / name.replace(".a.", ".b.")).touch()
    (tmp_path / name.replace(".a.", ".c.")).symlink_to(tmp_path)
    (tmp_path / ".d.unet-1073741824").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "another machine")
        leftover(tmp_path / "e")
    with monkeypatch.context() as patch:
        patch.setattr("os.getuid", lambda: 12345)
        remove_leftovers(tmp_path)
    assert len(os.listdir(tmp_path)) == 5
    remove_leftovers(tmp_path)
    assert sorted(path[:3] for path in os.listdir(tmp_path)) == [".b.", ".c.", ".d.", ".e."]


@pytest.mark.parametrize("function, value", [
    ("socket.gethostname", "another machine"), ("os.readlink", "pid:[another container]"),
    ("pathlib.Path.read_text", "another start of this machine")])
def test_leftovers_from_elsewhere_are_removed_after_a_week(tmp_path, monkeypatch, function, value):
    """The process may still run there, and its number says nothing here."""
    with monkeypatch.context() as patch:
        patch.setattr(function, lambda *_: value)
        left = leftover(tmp_path / "a")
    remove_leftovers(tmp_path)
    assert left.is_dir()
    week_ago = time.time() - 8 * 24 * 3600
    os.utime(left, (week_ago, week_ago))
    remove_leftovers(tmp_path)
    assert not left.exists()


def test_a_path_for_libraries_that_take_utf_8_only(tmp_path):
    plain, odd = tmp_path / "é ².onnx", tmp_path / os.fsdecode(b"\xe9.onnx")
    plain.write_bytes(b"1")
    odd.write_bytes(b"2")
    with encodable_path(plain) as path:
        assert path == plain
    with encodable_path(odd) as path:
        assert path != odd and str(path).encode() and path.suffix == ".onnx" and path.read_bytes() == b"2"
    assert not path.exists() and odd.exists()
