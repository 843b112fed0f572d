"""Runs scripts of the project one after another in forks of a process that has loaded their packages.

The scripts that one of them starts, as train_folds.py starts train.py and eval.py, run in forks too.

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
import traceback
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
    sys.path[0] = str(Path(run["script"]).parent)
    importlib.import_module("src.model_utils.signals").ChildProcess.run = run_in_fork
    run_script(run["script"], *run["arguments"])


def run_script(script, *arguments):
    """Run a script in this process."""
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


def run_in_fork(_, command):
    """Run [Python, script, argument...] in a fork; return its exit status."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        run_script(*command[1:])
        status = 0
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    # Not what the starting process would do at its end, such as to remove its lock.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


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
