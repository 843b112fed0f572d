"""The project's programs in processes of their own, as a user starts them."""
import io
import logging
import os
import runpy
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

PROJECT = Path(__file__).resolve().parents[2]
SCRIPTS = PROJECT / "scripts"

# What programs see: this process' variables before conftest.py sets it up for MindSpore's own kernels.
SCRIPT_ENVIRONMENT = {"GLOG_v": "3", **os.environ, "PYTHON": sys.executable}


def call(*command, cwd=None, timeout=300, **environment):
    """Run a command, with these variables besides; returns the CompletedProcess with text output."""
    return subprocess.run([str(part) for part in command], cwd=cwd, text=True, capture_output=True, timeout=timeout,
                          check=False, env={**SCRIPT_ENVIRONMENT, **environment})


def bash(script, *arguments, **options):
    """``call`` of a shell script."""
    return call("bash", script, *arguments, **options)


def run(script, *arguments, **options):
    """``call`` of a Python script of the project."""
    return call(sys.executable, PROJECT / script, *arguments, **options)


def run_here(script, *arguments, cwd="."):
    """``run`` in this process, which saves the seconds that a start takes; for scripts that watch for no signals."""
    before = os.getcwd()
    argv, logger = [str(PROJECT / script), *map(str, arguments)], logging.getLogger("unet")
    handlers, level, propagate = logger.handlers, logger.level, logger.propagate
    logger.handlers = []
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        os.chdir(cwd)
        with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "argv", argv):
            runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as end:
        status = end.code
    finally:
        os.chdir(before)
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
    return subprocess.CompletedProcess(argv, status, out.getvalue(), err.getvalue())


def run_code(code, *arguments):
    """Run Python code in a process that is set up as this one; returns what it prints."""
    result = call(sys.executable, "-c", code, *arguments, cwd=PROJECT, **os.environ)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def run_helper(name, *arguments, **options):
    """``call`` of a helper in this folder."""
    return call(sys.executable, "-m", f"tests.support.{name}", *arguments, PYTHONPATH=str(PROJECT), **options)


def start(script, *arguments, **options):
    """Start a Python script of the project; returns the Popen with text output, errors among it."""
    return subprocess.Popen([sys.executable, str(PROJECT / script), *map(str, arguments)], **{
        "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": SCRIPT_ENVIRONMENT, **options})


def assert_one_line_error(result, *parts):
    """The script ended with status 2 and one line on standard error that has all ``parts`` in it."""
    assert result.returncode == 2, result.stdout + result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    for part in parts:
        assert str(part) in lines[0], result.stderr
