"""What runs as code is taken only from files and folders that no other user can write."""
import os
import stat
from pathlib import Path

import pytest

from src.model_utils import trust
from src.model_utils.errors import UNetError
from src.model_utils.trust import Untrusted, cache_folder, check_links, check_trusted, trusted_file
from tests.support.owners import OTHER_USER, foreign_link, give_away


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The place of the cache, which is not there yet."""
    monkeypatch.setenv("UNET_CACHE_DIR", str(tmp_path / "shared" / "cache"))
    return tmp_path / "shared" / "cache"


def test_folders_are_for_this_user_only(cache):
    """Whatever the umask."""
    before = os.umask(0)
    try:
        assert cache_folder("onnx") == cache / "onnx"
    finally:
        os.umask(before)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (cache, cache / "onnx")] == [0o700, 0o700]


def test_own_files_are_taken(cache):
    file = cache_folder() / "x.so"
    assert trusted_file(file) is None
    file.write_bytes(b"code")
    file.chmod(0o755)
    assert trusted_file(file) == file


def test_the_place_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("UNET_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "unet_mindspore"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("onnx") == tmp_path / "home" / ".cache" / "unet_mindspore" / "onnx"


def test_a_folder_above_may_be_a_link(tmp_path, monkeypatch):
    """Home folders and their .cache often are."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link"))
    assert cache_folder().is_dir()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_can_write(cache, mode):
    cache.mkdir(parents=True)
    cache.chmod(mode)
    with pytest.raises(Untrusted, match=rf"cache is not used: other users can write it \(mode {mode:o}\); remove it, "
                                        f"or name another folder with the environment variable UNET_CACHE_DIR"):
        cache_folder()


def test_a_folder_inside_that_others_can_write(cache):
    (cache / "onnx").mkdir(parents=True)
    (cache / "onnx").chmod(0o777)
    with pytest.raises(Untrusted, match="onnx is not used"):
        cache_folder("onnx")


def test_a_folder_that_is_a_link(cache, tmp_path):
    (tmp_path / "planted").mkdir()
    cache.parent.mkdir()
    cache.symlink_to(tmp_path / "planted")
    with pytest.raises(Untrusted, match="a symbolic link"):
        cache_folder()


def test_a_folder_of_another_user(cache, monkeypatch):
    cache.mkdir(parents=True)
    cache.chmod(0o755)
    give_away(cache, monkeypatch)
    with pytest.raises(Untrusted, match="it belongs to user"):
        cache_folder()


def test_files_of_others(tmp_path, monkeypatch):
    file, link = tmp_path / "x.so", tmp_path / "link.so"
    file.touch()
    link.symlink_to(file)
    with pytest.raises(Untrusted, match=r"link.so is not used: it is a symbolic link; remove it"):
        trusted_file(link)
    file.chmod(0o664)
    with pytest.raises(Untrusted, match=r"\(mode 664\)"):
        trusted_file(file)
    file.chmod(0o644)
    assert trusted_file(file) == file
    give_away(file, monkeypatch)
    with pytest.raises(Untrusted, match="it belongs to user"):
        trusted_file(file)


def test_a_link_to_nothing_is_no_missing_file(tmp_path):
    """Whoever made it waits for the file that it names."""
    (tmp_path / "x.so").symlink_to("not yet there")
    with pytest.raises(Untrusted, match="a symbolic link"):
        trusted_file(tmp_path / "x.so")


def test_the_superuser_is_trusted(tmp_path, monkeypatch):
    """A container's image has its operators from there."""
    monkeypatch.setattr(trust.os, "getuid", lambda: tmp_path.stat().st_uid if tmp_path.stat().st_uid else OTHER_USER)
    tmp_path.chmod(0o755)
    check_trusted(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("UNET_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(UNetError, match=r"cannot write into the cache: .*file: .*UNET_CACHE_DIR"):
        cache_folder()


def test_a_user_without_a_home(monkeypatch):
    """In a container, with a number that the system does not know."""
    for name in ("UNET_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def home():
        raise RuntimeError("Could not determine home directory.")
    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(UNetError, match="has no home folder; set HOME, or name a folder with .* UNET_CACHE_DIR"):
        cache_folder()


# ---- links in a folder that others can write


def test_a_link_of_another_user_is_not_written_through(tmp_path, monkeypatch):
    own, link = tmp_path / "own", tmp_path / "shared" / "predictions"
    own.mkdir()
    link.parent.mkdir()
    link.parent.chmod(0o775)
    foreign_link(link, own, monkeypatch)
    for folder in (link, link / "not yet there"):
        with pytest.raises(Untrusted, match=r"shared/predictions is a link of user \d+ to .*; nothing is written "
                                            r"through it; remove it, or give the folder that it leads to$"):
            check_links(folder)
    link.parent.chmod(0o755)        # an administrator made it, as nobody else could
    check_links(link)


def test_own_links_are_followed(tmp_path):
    """Results often go to a larger disk."""
    (tmp_path / "predictions").symlink_to(tmp_path)
    check_links(tmp_path / "predictions" / "a" / "b")


def test_a_link_to_a_folder_of_its_maker_is_followed(tmp_path, monkeypatch):
    """It leads nobody to a place where its maker could not write without it."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to("theirs")
    for name in ("theirs", "link"):
        give_away(tmp_path / name, monkeypatch)
    check_links(tmp_path / "link")
