"""Files appear whole or not at all."""
import os
import stat

import pytest

from src.model_utils.errors import UNetError
from src.model_utils.files import replacing, write_atomically


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
