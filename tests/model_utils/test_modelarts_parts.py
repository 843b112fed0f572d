"""The parts of ModelArts jobs, in this process: the lock of a server, archives, ids."""
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from src.model_utils import device_adapter
from src.model_utils.errors import UNetError
from src.model_utils.lock import ServerLock
from src.model_utils.moxing_adapter import unzip
from tests.support.scripts import PROJECT


def test_lock_of_a_single_process(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    did = []
    for _ in range(2):      # the second time over the file of the first
        lock = ServerLock("x", 1)
        assert lock.is_owner
        lock.once(lambda: did.append("once"))
        assert lock.leave(lambda: did.append("last"), False, 5) is None
    assert did == ["once", "last"] * 2


def test_a_run_begun_while_another_takes_its_output_away(tmp_path, monkeypatch):
    """waits for it, and is then a group of its own."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    earlier = ServerLock("x", 1)
    code = f"""
import sys, tempfile
tempfile.gettempdir = lambda: {str(tmp_path)!r}
from src.model_utils.lock import ServerLock
print("begun", flush=True)
print(ServerLock("x", 60).is_owner)
"""
    def take_away():
        later.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            later.wait(1)
    with subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE,
                          text=True) as later:
        assert earlier.leave(take_away, False, 5) is None
        assert later.communicate(timeout=60)[0] == "True\n"


def test_an_archive_larger_than_the_free_space(tmp_path, monkeypatch):
    """By the sizes that it claims; zipfile writes no more than those."""
    with zipfile.ZipFile(tmp_path / "d.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.txt", bytes(10**6))
    free = shutil.disk_usage(tmp_path)._replace(free=10**6 - 1)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: free)
        with pytest.raises(UNetError, match=r"d.zip: 0.001 GB when it is unzipped, and .* has 0.001 GB left"):
            unzip(tmp_path / "d.zip", tmp_path / "d")
    assert os.listdir(tmp_path) == ["d.zip"]


def test_an_archive_is_unpacked_where_nobody_else_writes(tmp_path):
    """Its folder has the usual permissions at the end."""
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as file:
        file.writestr("a.txt", "a")
    unzip(tmp_path / "d.zip", tmp_path / "d")
    assert oct((tmp_path / "d").stat().st_mode)[-3:] == "755"


def test_archives(tmp_path):
    archive = tmp_path / "d.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.txt", "a" * 1000)
        file.writestr("d/b.txt", "b")
    unzip(archive, tmp_path / "d")
    assert (tmp_path / "d" / "a.txt").read_text() == "a" * 1000 and (tmp_path / "d" / "d" / "b.txt").is_file()
    (tmp_path / "d" / "a.txt").unlink()
    unzip(archive, tmp_path / "d")     # there already
    assert not (tmp_path / "d" / "a.txt").exists()
    content = bytearray(archive.read_bytes())
    content[36:44] = b"\xff" * 8
    for name, data in (("broken", bytes(content)), ("cut", content[:60]), ("empty", b"")):
        (tmp_path / f"{name}.zip").write_bytes(data)
        with pytest.raises(UNetError, match="not a readable zip file"):
            unzip(tmp_path / f"{name}.zip", tmp_path / name)
    with pytest.raises(UNetError, match="no such archive: .*none.zip"):
        unzip(tmp_path / "none.zip", tmp_path / "none")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.zip", "cut.zip", "d", "d.zip", "empty.zip"]


def test_ids(monkeypatch):
    for name in ("DEVICE_ID", "RANK_ID", "RANK_SIZE", "JOB_ID"):
        monkeypatch.delenv(name, raising=False)

    def ids(*where):
        return [get(*where) for get in (device_adapter.get_device_id, device_adapter.get_device_num,
                                        device_adapter.get_rank_id, device_adapter.get_job_id)]

    assert ids() == ids(False) == [0, 1, 0, "Local Job"]
    assert ids(True) == [0, 1, 0, "default"]
    for name, value in (("DEVICE_ID", "3"), ("RANK_ID", "11"), ("RANK_SIZE", "16"), ("JOB_ID", "job7")):
        monkeypatch.setenv(name, value)
    assert ids() == [3, 16, 11, "Local Job"] and ids(True) == [3, 16, 11, "job7"]
