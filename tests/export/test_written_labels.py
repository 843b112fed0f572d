"""Which label.npy preprocess.py overwrites: its own one only."""
import os

import numpy as np
import pytest

from src.export.stored_labels import LABELS_WRITTEN
from src.export.written_files import read_list, write_list
from src.model_utils.errors import UNetError
from tests.support.data import write_pairs
from tests.support.exchange import Exchange
from tests.support.owners import give_away
from tests.support.scripts import assert_one_line_error


@pytest.mark.parametrize("place", ["in", "other", "."])
def test_own_labels_are_overwritten(sample, tmp_path, place):
    """As in the model zoo, also by a call for another folder of inputs, and by one for the current folder itself."""
    exchange = Exchange(tmp_path, sample, "--image_size=[32,48]")
    assert exchange.preprocess().returncode == 0
    exchange.argv += ["--image_size=[32,32]", f"--result_path={place}"]
    for _ in range(2):
        result = exchange.preprocess()
        assert result.returncode == 0 and result.stderr == "", result.stderr
        assert np.load(exchange.labels).shape == (2, 1, 2, 32, 32)
    # Another layout has no labels; those that are there belong to other inputs, which may still be scored.
    folders = ["--dataset=folders", "--num_channels=3", "--image_size=[32,24]", "--result_path=."]
    data = write_pairs(tmp_path / "data", list("abcd"))
    assert Exchange(tmp_path, data, *folders).preprocess().returncode == 0
    assert exchange.labels.is_file()


def test_labels_of_others_stay(sample, tmp_path):
    """Nothing is written then, neither inputs nor a list that would call the labels ours."""
    exchange = Exchange(tmp_path, sample, "--image_size=[32,48]")
    elsewhere = tmp_path / "mine.npy"
    for make in (exchange.labels.write_text, lambda text: exchange.labels.symlink_to(elsewhere)):
        make("mine")
        for _ in range(2):
            assert_one_line_error(exchange.preprocess(), "label.npy is there, and preprocess.py did not write it",
                                  "remove it, or call preprocess.py in another folder")
        assert exchange.labels.is_symlink() or exchange.labels.read_text() == "mine"
        assert not exchange.inputs.exists() and not elsewhere.exists()
        exchange.labels.unlink()
    assert exchange.preprocess().returncode == 0
    (tmp_path / LABELS_WRITTEN).write_text("{")
    assert_one_line_error(exchange.preprocess(), LABELS_WRITTEN, "cannot be read; remove it")


def test_a_list_of_another_user(tmp_path, monkeypatch):
    """It would name this user's files, which are then removed."""
    path = tmp_path / "list.json"
    path.write_text('["mine.png"]')
    (tmp_path / "link.json").symlink_to(path)
    with pytest.raises(UNetError, match="link.json is not used: it is a symbolic link; remove it"):
        read_list(tmp_path / "link.json", "preprocess.py")
    give_away(path, monkeypatch)
    with pytest.raises(UNetError, match="list.json is not used: it belongs to user .*; remove it"):
        read_list(path, "preprocess.py")


def test_an_own_list_is_read_whatever_the_umask(tmp_path):
    """Where a group shares all files, it cannot write this one."""
    before = os.umask(0o002)
    try:
        write_list(tmp_path / "list.json", ["b.bin", "a.bin"])
    finally:
        os.umask(before)
    assert read_list(tmp_path / "list.json", "preprocess.py") == {"a.bin", "b.bin"}
    assert read_list(tmp_path / "missing.json", "preprocess.py") == set()


@pytest.mark.parametrize("text", [None, "[" * 100_000, "{", "7"])
def test_a_list_that_is_none(tmp_path, text):
    path = tmp_path / "list.json"
    if text is None:
        os.mkfifo(path)
    else:
        path.write_text(text)
    with pytest.raises(UNetError, match="the list of what preprocess.py wrote, cannot be read; remove it"):
        read_list(path, "preprocess.py")
