"""The disk refuses one call: nothing is lost, one line says so, and the same command then gives what it should."""
import errno
import os
import re
import sys

import pytest

from tests.support.io_faults import COMMANDS, ERRORS, KINDS, Experiment, Place, Runner, build_library, compiler, sample
from tests.support.scripts import call

# benchmarks/io_faults.py lets every call fail. A run of train_folds.py has four processes of its own.
FAULTS = {**dict.fromkeys(COMMANDS, 2), "train_folds.py": 1}

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler, with which to make what lets calls fail")


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    runner = Runner(Place(tmp_path_factory.mktemp("io_faults")), "run")
    yield runner
    runner.close()


@pytest.mark.slow
@pytest.mark.parametrize("turn, name", list(enumerate(COMMANDS)))
def test_a_call_fails(runner, turn, name):
    experiment = Experiment(runner, COMMANDS[name])
    assert {kind for kind, _ in experiment.calls} == set(KINDS)
    for number in sample(experiment.calls, FAULTS[name], 2 * turn):
        error = ERRORS[number % len(ERRORS)]
        try:
            experiment.try_fault(number, error)
        except AssertionError as fault:
            pytest.fail(f"call {number}, {' '.join(experiment.failed)}, {os.strerror(error)}: {fault}")


# ---- what counts as a call

WORK = """
import ctypes, os, shutil, tempfile
os.makedirs("out/f/g")
with open("out/a", "wb") as file:
    file.write(b"x" * 9000)
    os.fsync(file.fileno())
shutil.copyfile("out/a", "out/b")
number, name = tempfile.mkstemp(dir="out")
os.pwrite(number, b"yz", 0), os.writev(number, [b"a", b"b"]), os.fdatasync(number)
os.replace(name, "out/c"), os.link("out/c", "out/d")
folder = os.open("out", os.O_RDONLY)
os.mkdir("h", dir_fd=folder), os.mkdir("beside")
libc = ctypes.CDLL(None, use_errno=True)
libc.fopen.restype = libc.fdopen.restype = ctypes.c_void_p
streams = libc.fopen(b"out/e", b"w"), libc.fdopen(os.open("out/i", os.O_CREAT | os.O_WRONLY), b"w")
for stream in map(ctypes.c_void_p, streams):
    libc.fputs(b"text", stream)
    print(libc.fclose(stream), os.strerror(ctypes.get_errno()))
"""
CALLS = ["mkdir f", "mkdir f/g", "open a", "write a", "sync a", "open b", "write b", "write b", "open TEMPORARY",
         "write TEMPORARY", "write TEMPORARY", "sync TEMPORARY", "rename c", "rename d", "mkdir h", "open e", "open i",
         "write e", "write i"]


def test_calls_are_counted_and_one_fails(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "counter").write_bytes(bytes(8))
    (tmp_path / "log").write_text("")
    result = call(sys.executable, "-c", WORK, cwd=tmp_path, LD_PRELOAD=str(build_library(tmp_path)),
                  FAULT_FOLDER=str(tmp_path / "out"), FAULT_COUNTER=str(tmp_path / "counter"),
                  FAULT_LOG=str(tmp_path / "log"), FAULT_CALL=str(len(CALLS) - 1), FAULT_ERRNO=str(errno.EIO))
    assert (result.stdout, result.stderr) == (f"-1 {os.strerror(errno.EIO)}\n0 {os.strerror(errno.EIO)}\n", "")
    seen = [line.split(" ", 1)[1].replace(f"{tmp_path / 'out'}/", "")
            for line in (tmp_path / "log").read_text().splitlines()]
    assert [re.sub("tmp.*", "TEMPORARY", line) for line in seen] == CALLS
    assert ((tmp_path / "out" / "e").read_text(), (tmp_path / "out" / "i").read_text()) == ("", "text")
