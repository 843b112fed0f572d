"""Files and links of other users."""
import os

from src.model_utils import trust

OTHER_USER = 12345


def give_away(path, monkeypatch):
    """Make a file or folder one of another user; without the rights to do so, make this process one of another."""
    if os.getuid() == 0:
        os.chown(path, OTHER_USER, -1, follow_symlinks=False)
    else:
        monkeypatch.setattr(trust.os, "getuid", lambda: OTHER_USER)


def foreign_link(path, target, monkeypatch):
    """Make a link of another user to a folder; without the rights to do so, to one that this user cannot write."""
    path.symlink_to(target if os.getuid() == 0 else "/usr")
    give_away(path, monkeypatch)
