"""Programs one after another: their status, and the signals that reach them."""
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.model_utils.signals import SIGNALS, ChildProcess
from tests.support.scripts import PROJECT

# Runs two programs; the first says its number, its session, and whatever signal it gets.
PARENT = """
import sys
from src.model_utils.signals import ChildProcess
program = '''
import os, signal, sys, time
def say(number, _):
    print("child got", number, flush=True)
    sys.exit(7)
signal.signal(signal.SIGINT, say), signal.signal(signal.SIGTERM, say)
print(os.getpid(), os.getsid(0) == os.getpid(), flush=True)
time.sleep(30)
'''
with ChildProcess() as child:
    status = child.run([sys.executable, "-c", program])
    print("first", status, "second", child.run(["true"]), flush=True)
"""


def is_running(pid):
    """Whether there is such a process, and not just its entry until somebody asks for its status."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def parent():
    process = subprocess.Popen([sys.executable, "-c", PARENT], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_program_and_stop_the_next(parent, signum):
    assert parent.stdout.readline().split()[1] == "True"
    parent.send_signal(signum)
    rest, _ = parent.communicate(timeout=120)
    assert rest.splitlines() == [f"child got {int(signum)}", f"first {128 + signum} second {128 + signum}"]


REQUESTED = """
import time
from src.model_utils.signals import Interruption
interruption = Interruption()
print("ready", flush=True)
while not interruption.signum:
    time.sleep(0.01)
print("asked", flush=True)
time.sleep(1.5)
print("finished", flush=True)
"""


@pytest.mark.parametrize("passed_on, status, rest", [(True, 0, "finished\n"), (False, 128 + signal.SIGTERM, "")])
def test_a_signal_that_is_passed_on_is_no_second_one(passed_on, status, rest):
    """A scheduler signals all processes of a job, and a launcher among them passes it on."""
    process = subprocess.Popen([sys.executable, "-c", REQUESTED], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "asked\n"
    if passed_on:
        subprocess.run(["bash", "-c", f"kill -TERM {process.pid}"], check=True)
    else:
        process.send_signal(signal.SIGTERM)
    found, _ = process.communicate(timeout=120)
    assert (process.returncode, found) == (status, rest)


def test_a_killed_process_takes_its_program_along(parent):
    child = int(parent.stdout.readline().split()[0])
    parent.kill()
    for _ in range(1000):
        if not is_running(child):
            return
        time.sleep(0.1)
    raise AssertionError("the program outlives its parent")


def test_status():
    handlers = [signal.getsignal(signum) for signum in SIGNALS]
    with ChildProcess() as child:
        assert [child.run(["bash", "-c", text]) for text in ("exit 0", "exit 2", "kill -9 $$")] == [0, 2, 137]
    assert [signal.getsignal(signum) for signum in SIGNALS] == handlers
