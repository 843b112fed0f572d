"""Python in processes of its own, which import nothing from the folder in which the user stands.

``python -c`` and ``python -m`` search the current folder first: a file ``socket.py`` among somebody's data would run.
"""
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import util
from typing import Any, cast


def python_command(code: str, *arguments: str) -> list[str]:
    """Return the command that runs ``code``, which need not import sys; it sees the arguments as sys.argv[1:]."""
    return [sys.executable, "-c", f"import sys; sys.path[:] = filter(None, sys.path)\n{code}", *arguments]


def named_folders(variable: str) -> list[str]:
    """Return the folders that PYTHONPATH or LD_LIBRARY_PATH names; an empty entry stands for the current folder.

    ``export PYTHONPATH=$PYTHONPATH:/x`` makes one where the variable was not set.
    """
    return list(filter(None, os.environ.get(variable, "").split(os.pathsep)))


def forget_current_folder() -> None:
    """Take empty entries out of the variables, and the current folder, for which they stand, off the search path.

    Processes that are started have the variables; workers of multiprocessing have the search path.
    """
    # OpenCV puts a folder before what is there, and with it an empty entry if there is nothing: programs would load
    # libc.so.6 of the current folder. So there is something, which holds no libraries.
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(named_folders("LD_LIBRARY_PATH")) or os.devnull
    named = named_folders("PYTHONPATH")
    if os.environ.get("PYTHONPATH", "") != os.pathsep.join(named):
        os.environ["PYTHONPATH"] = os.pathsep.join(named)
        kept = [*sys.path[:1], *map(os.path.abspath, named)]        # the first is that of the script
        sys.path = [folder for folder in sys.path if folder in kept or folder != os.getcwd()]


@contextmanager
def without_current_folder() -> Iterator[None]:
    """Keep the current folder off the search path of processes that are started in the block.

    It is for processes whose command is not ours. Scripts must not inherit the variable: they find this project by
    their own folder, which Python would leave out too.
    """
    before, library = os.environ.get("PYTHONSAFEPATH"), cast(Any, util)
    flags = library._args_from_interpreter_flags
    os.environ["PYTHONSAFEPATH"] = "1"
    if sys.version_info < (3, 11):      # does not know the variable; multiprocessing itself sends the search path
        library._args_from_interpreter_flags = lambda: [*flags(), "-I"]
    try:
        yield
    finally:
        library._args_from_interpreter_flags = flags
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before
