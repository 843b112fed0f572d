"""Files that others have made: regular ones only, up to a size."""
import os
import socket
import tracemalloc

import pytest

from src.data.class_values import resolve
from src.data.image_files import list_image_files
from src.data.image_reader import open_pages
from src.data.preparation.coco_annotations import read_annotations
from src.data.splits import read_splits
from src.export.keras_weights import read_arrays
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.inputs import MissingFile, WrongContent, not_there, open_input, read_input, read_json
from src.report.history import read_history
from src.training.checkpoint_contents import CheckpointContents
from src.training.checkpoint_files import find_checkpoints
from src.training.fold_results import read_results
from src.training.run_folder import read_name
from tests.support.alarm import in_time


@pytest.fixture(params=["FIFO", "device"])
def irregular(request):
    """Makes a FIFO, or a link to a file that never ends."""
    def make(path):
        if request.param == "FIFO":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        return path
    return make


def test_what_is_in_the_place_of_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nothing")
    for name, said in (("none", f"no such checkpoint: {tmp_path}/none"),
                       ("link", f"no such checkpoint: {tmp_path}/link"),
                       (".", f"{tmp_path}: a folder, where a checkpoint is expected"),
                       ("pipe", f"{tmp_path}/pipe: a FIFO, where a checkpoint is expected")):
        assert not_there(tmp_path / name, "checkpoint") == said
    with pytest.raises(UNetError, match="pipe: a FIFO, where a file or folder is expected; give images with"):
        list_image_files(tmp_path / "pipe")
    with pytest.raises(UNetError, match="pipe: a FIFO, where a checkpoint is expected; expected a .ckpt file"):
        CheckpointContents(tmp_path / "pipe")


def test_regular_files_and_links_to_them(tmp_path):
    (tmp_path / "a").write_bytes(b"data")
    (tmp_path / "link").symlink_to("a")
    assert read_input(tmp_path / "a") == read_input(tmp_path / "link") == b"data"
    with open_input(tmp_path / "a", 4) as file:
        assert file.read() == b"data"


def test_files_that_are_too_large(tmp_path):
    (tmp_path / "a").write_bytes(b"data")
    with pytest.raises(UNetError, match=r"a: 4e-06 MB; a file of this kind has at most 3e-06 MB"):
        read_input(tmp_path / "a", 3)
    with open(tmp_path / "large", "wb") as file:
        file.truncate(10**13)
    with pytest.raises(UNetError, match=r"large: 1e\+07 MB; a file of this kind has at most 64 MB"):
        read_input(tmp_path / "large")


def test_files_whose_size_says_nothing():
    """What the kernel makes up while it is read is bounded too."""
    with pytest.raises(UNetError, match=r"/proc/self/status: more than 0.0001 MB"):
        read_input("/proc/self/status", 100)


def test_no_more_memory_than_the_file_has_bytes(tmp_path):
    """Whatever its kind may have."""
    (tmp_path / "a").write_bytes(bytes(10**6))
    tracemalloc.start()
    try:
        assert len(read_input(tmp_path / "a", 10**12)) == 10**6
        assert tracemalloc.get_traced_memory()[1] < 3 * 10**6
    finally:
        tracemalloc.stop()


def test_other_kinds_of_files(tmp_path, irregular):
    with in_time(60), pytest.raises(UNetError, match=r"x: a (FIFO|device), where a regular file is expected"):
        read_input(irregular(tmp_path / "x"))


def test_sockets_and_folders_cannot_be_opened(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(OSError, match="No such device"):
            read_input(tmp_path / "s")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(IsADirectoryError):
        read_input(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


READERS = {
    "x.png": lambda path: open_pages(path).__enter__(), "x.tif": lambda path: open_pages(path).__enter__(),
    "splits.json": read_splits, "classes.json": lambda path: resolve([], path.parent, 2),
    "x.yaml": lambda path: parse_options([f"--config_path={path}"], ""), "annotations.json": read_annotations,
    "x.npz": read_arrays, "history.csv": lambda path: list(read_history(path)),
    "folds.json": lambda path: read_results(path.parent), "run.json": lambda path: read_name(path.parent)}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_refuses_them(tmp_path, irregular, name):
    path = irregular(tmp_path / name)
    with in_time(60), pytest.raises(UNetError, match=rf"({name}|zero): a (FIFO|device), where a regular file is "):
        READERS[name](path)


@pytest.mark.parametrize("data", [
    b"", b"{", b"\xff\xfe\xff", b"[" * 100_000, b'{"a":' * 100_000, b"null", b"7", b"[]", b"{}", b'{"b": 1}',
    b'{"a": []}', b'{"a": Infinity}', b'{"a": NaN}', b'{"a": 0}', b'{"a": ' + b"9" * 5000 + b"}"])
def test_json_that_holds_something_else(tmp_path, data):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(WrongContent) as caught:
        read_json(tmp_path / "a.json", lambda content: 1 // int(content["a"]), "no a", "; make it again")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'a.json'}: no a (") and message.endswith("); make it again")
    assert "\n" not in message and len(message) < 400


def test_json_files(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 2}')
    assert read_json(tmp_path / "a.json", lambda content: 4 // content["a"]) == 2
    with pytest.raises(UNetError, match=r"a\.json: no a .*a\.json: 1.1e-05 MB; .*\); make it again"):
        read_json(tmp_path / "a.json", dict, "no a", "; make it again", most=10)
    for path in (tmp_path / "b.json", tmp_path / "a.json" / "b"):
        with pytest.raises(MissingFile, match=f"no such file: {path}; make it"):
            read_json(path, dict, "no a", "; make it")


def test_a_checkpoint_that_is_none(tmp_path, irregular):
    """Others in the folder are still found."""
    irregular(tmp_path / "best.ckpt")
    with in_time(60):
        assert find_checkpoints(tmp_path)[0].is_damaged
