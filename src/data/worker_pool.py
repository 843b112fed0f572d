"""Calls of one function in several processes."""
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import resource_tracker
from typing import Any, TypeVar

import cv2

from src.model_utils.errors import UNetError, first_few
from src.model_utils.python_process import without_current_folder

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def call_for_each(function: Callable[[Argument], Result], arguments: Iterable[Argument], workers: int,
                  name: Callable[[Argument], str], stopped: Callable[[], object] = lambda: False) -> Iterator[Result]:
    """Yield ``function(argument)`` for each argument, in any order.

    Args:
        function: is sent to each process once, so it may carry much. It must be picklable if there are several.
        arguments: taken when they are needed.
        workers: number of processes; fewer than 2 call the function in this one.
        name: names an argument in the error.
        stopped: asked before each call. Once it returns a true value, no call is begun.

    Raises:
        UNetError: a process was killed; also what ``function`` raises.
    """
    if workers < 2:
        for argument in arguments:
            if stopped():
                return
            yield function(argument)
        return
    # Spawned, not forked: a new process then has none of this one's threads and locks. It inherits blocked signals.
    context = multiprocessing.get_context("spawn")
    _start_tracker()
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(function,)) as pool:
        waiting, running = iter(arguments), dict[Future[Result], Argument]()
        while not stopped():
            for argument in islice(waiting, 2 * workers - len(running)):
                with without_current_folder():      # the first calls start the processes
                    running[pool.submit(_call, argument)] = argument
            if not running:
                return
            yield from _finished(running, name)
        while running:
            yield from _finished(running, name)


def _start_tracker() -> None:
    """Start multiprocessing's resource tracker, which the first process would start, and restore the blocked signals.

    The tracker's start unblocks signals.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with without_current_folder():
        resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _finished(running: dict[Future[Result], Argument], name: Callable[[Argument], str]) -> Iterator[Result]:
    """Wait until at least one call is finished, remove the finished ones from ``running``, and yield their results."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        try:
            result = future.result()
        except BrokenProcessPool:
            names = first_few([name(argument) for argument in running.values()], 8)
            raise UNetError(f"a worker process was ended from outside (not enough memory?) while it worked on one of "
                            f"these: {names}; run the command again") from None
        del running[future]
        yield result


# ---- in a worker

_functions: list[Callable[[Any], Any]] = []     # the one that this process calls


def _begin(function: Callable[[Any], Any]) -> None:
    """Keep the function, and make this process end when its parent is killed; it would wait for calls for ever."""
    _functions.append(function)
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None, "called outside a worker"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _call(argument: Any) -> Any:
    return _functions[0](argument)
