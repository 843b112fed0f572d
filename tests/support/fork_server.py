"""Runs scripts of the project one after another in forks of a process that has loaded their packages.

``python fork_server.py PROJECT MODULE...`` loads the modules of PROJECT. It then reads runs from standard input, a JSON
object a line, and answers each with its exit status, or "hangs".
"""
import ctypes
import importlib
import json
import logging
import os
import runpy
import signal
import sys
import time
from pathlib import Path


def begin(run):
    """Be the process of a run: its script ends it."""
    os.setsid()
    os.environ.update(run["environment"])
    os.chdir(run["cwd"])
    for file, name in enumerate((os.devnull, run["stdout"], run["stderr"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), file)
    ctypes.CDLL(None).begin_counting()
    # MindSpore's logger has the name of the process that loaded it; see quiet_mindspore.
    logging.getLogger(f"ME.mindspore.log.{os.getppid()}").addFilter(lambda record: False)
    sys.argv = [run["script"], *run["arguments"]]
    sys.path[0] = str(Path(run["script"]).parent)
    runpy.run_path(run["script"], run_name="__main__")


def end_of(pid, seconds):
    """Wait for a process; return its exit status, or "hangs" after it has been killed with its children."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hangs"


def main():
    """Load the modules, and run what comes."""
    sys.path[0] = sys.argv[1]
    for name in sys.argv[2:]:
        importlib.import_module(name)
    print("ready", flush=True)
    while line := sys.stdin.readline():
        run = json.loads(line)
        pid = os.fork()
        if pid == 0:
            begin(run)
            break
        print(end_of(pid, run["seconds"]), flush=True)


if __name__ == "__main__":
    main()
