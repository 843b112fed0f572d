"""moxing_wrapper and sync_data in a script of a user's own, against a stand-in for moxing that copies folders."""
import subprocess
import sys

import pytest

from tests.support.data import FIXTURES
from tests.support.scripts import PROJECT, SCRIPT_ENVIRONMENT

SCRIPT = """
import os
from pathlib import Path
from src.model_utils.config import config
from src.model_utils.moxing_adapter import moxing_wrapper, sync_data

def before():
    print("before", Path(config.data_path, "a.txt").exists())

def after():
    Path(config.output_path, "after.txt").touch()

@moxing_wrapper(pre_process=before, post_process=after)
def work(number, factor=1):
    '''Doubles.'''
    Path(config.output_path).mkdir(exist_ok=True)
    Path(config.output_path, "result.txt").write_text(Path(config.data_path, "a.txt").read_text())
    return 2 * number * factor

print(work(3, factor=2), work.__name__, work.__doc__)
"""
OPTIONS = ["--device_target=CPU", "--data_path=in/data", "--load_path=in/ckpt", "--output_path=in/out"]


@pytest.fixture
def store(tmp_path):
    """The object store, with data/a.txt in it."""
    (tmp_path / "store" / "data").mkdir(parents=True)
    (tmp_path / "store" / "data" / "a.txt").write_text("the data")
    return tmp_path / "store"


def start(store, code, *options, **environment):
    (store.parent / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", code, *OPTIONS, *options], cwd=store.parent, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={
            **SCRIPT_ENVIRONMENT, "MOXING_STORE": str(store), "TMPDIR": str(store.parent / "tmp"), "JOB_ID": "job7",
            "PYTHONPATH": f"{PROJECT}:{FIXTURES / 'modelarts'}", **environment})


def test_moxing_wrapper(store):
    process = start(store, SCRIPT, "--enable_modelarts=True", "--data_url=obs://data", "--train_url=obs://out")
    output = process.communicate(timeout=300)[0]
    assert output == "before True\n12 work Doubles.\n" and process.returncode == 0
    assert sorted(path.name for path in (store / "out").iterdir()) == ["after.txt", "result.txt"]


def test_moxing_wrapper_elsewhere(store):
    """Without enable_modelarts nothing but the function is called, and no moxing is needed."""
    data = store.parent / "in" / "data"
    data.mkdir(parents=True)
    (data / "a.txt").write_text("own data")
    process = start(store, SCRIPT, PYTHONPATH=str(PROJECT))
    assert process.communicate(timeout=300)[0] == "12 work Doubles.\n"
    assert (store.parent / "in" / "out" / "result.txt").read_text() == "own data"
    assert not (store / "out").exists()


SYNC = """
import os, time
from pathlib import Path
from src.model_utils.moxing_adapter import sync_data

def together(name):
    Path(name + os.environ["RANK_ID"]).touch()
    while not (Path(name + "0").exists() and Path(name + "1").exists()):
        time.sleep(0.02)

together("begun")
sync_data("obs://data", "here")
assert Path("here/a.txt").read_text() == "the data"
sync_data("here", "obs://again")
sync_data("here", "obs://again")
together("done")        # what a process did lasts as long as it lives
"""


def test_sync_data(store):
    """The processes of a server copy once per call."""
    both = [start(store, SYNC, RANK_ID=str(rank)) for rank in range(2)]
    assert [process.communicate(timeout=300)[0] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    assert (store / "again" / "a.txt").read_text() == "the data"
    assert (store / "calls").read_text().splitlines() == ["obs://data here", *["here obs://again"] * 2]


def test_sync_data_needs_moxing(store):
    code = "from src.model_utils.moxing_adapter import sync_data\nsync_data('a', 'b')"
    output = start(store, code, PYTHONPATH=str(PROJECT)).communicate(timeout=300)[0]
    assert "UNetError: sync_data copies from and to ModelArts' object store, but there is no Python package moxing" \
        in output.splitlines()[-1]
