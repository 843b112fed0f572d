"""Tasks that make files, done in several processes; what is finished is kept, what is bad is named."""
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import resource_tracker

import cv2
from tqdm import tqdm

from src.data.tiff import TIFF_ENDING, read_stack, write_stack
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import remove_leftovers, write_atomically

PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
PNG_COMPRESSION = 1     # a third of the time of the usual 6, for files 18 % larger


@dataclass(frozen=True)
class Task:
    """Files that are made together.

    Args:
        outputs (tuple[Path]): the files: PNG pictures and TIFF stacks.
        make (Callable): a function of a module, called in another process as ``make(*arguments)``. It gives the
            arrays of ``outputs``, uint8: (H, W) gray, (H, W, 3) blue, green, red, or (pages, H, W); and the number of
            parts (masks, instances, slices) that they were made of. Raises UNetError for bad input.
        arguments (tuple): what ``make`` takes.
    """
    outputs: tuple
    make: Callable
    arguments: tuple


@dataclass
class Tally:
    """What became of the tasks: numbers of made, kept and not begun ones, of parts, and what is bad, one line each."""
    made: int = 0
    kept: int = 0
    left: int = 0
    parts: int = 0
    bad: tuple = ()


def carry_out(tasks, workers=None, stopped=lambda: False):
    """Do the tasks whose files are not there as a whole.

    Args:
        tasks (list[Task]): the tasks.
        workers (int): processes; as many as processors when None.
        stopped (Callable): asked after each task; when it says True, the tasks at work are finished and no others
            begun.

    Returns:
        Tally.

    Raises:
        UNetError: a file cannot be written, or a process was killed.
    """
    missing = [task for task in tasks if not all(_is_whole(path) for path in task.outputs)]
    for folder in {path.parent for task in missing for path in task.outputs}:
        remove_leftovers(folder)
    tally = Tally(kept=len(tasks) - len(missing))
    workers = min(workers or len(os.sched_getaffinity(0)), len(missing))
    with tqdm(total=len(tasks), initial=tally.kept, unit="item", disable=None, file=sys.stderr) as progress:
        for parts, fault in _results(missing, workers, stopped):
            if fault:
                tally.bad += (fault,)
                tqdm.write(f"error: {fault}", file=sys.stderr)
            else:
                tally.made += 1
                tally.parts += parts
            progress.update()
    tally.left = len(missing) - tally.made - len(tally.bad)
    return tally


def _is_whole(path):
    """Whether a file is there from its beginning to its end."""
    if not path.is_file():
        return False
    if path.suffix.lower() == TIFF_ENDING:
        try:
            read_stack(path)
        except UNetError:
            return False
        return True
    with open(path, "rb") as file:
        start = file.read(len(PNG_START))
        file.seek(max(0, path.stat().st_size - len(PNG_END)))
        return start == PNG_START and file.read() == PNG_END


def _results(tasks, workers, stopped):
    """Yield the result of ``_do`` for each task, in any order."""
    if workers < 2:
        for task in tasks:
            if stopped():
                return
            yield _do(task)
        return
    # Spawned, not forked: a new process has none of this one's threads and locks, but its blocked signals.
    context = multiprocessing.get_context("spawn")
    _start_tracker()
    with ProcessPoolExecutor(workers, context, initializer=_end_with_parent) as pool:
        waiting, running = iter(tasks), {}
        while not stopped():
            for task in islice(waiting, 2 * workers - len(running)):
                running[pool.submit(_do, task)] = task
            if not running:
                return
            yield from _finished(running)
        while running:
            yield from _finished(running)


def _start_tracker():
    """Start what multiprocessing starts with the first process, and keep blocked signals blocked, which it does not."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _finished(running):
    """Wait for one task or several, take them out of ``running``, and yield their results."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        try:
            result = future.result()
        except BrokenProcessPool:
            names = first_few([str(task.outputs[0]) for task in running.values()], 8)
            raise UNetError(f"a worker process was ended from outside (not enough memory?) while these were at work: "
                            f"{names}; run again, what is finished is kept") from None
        del running[future]
        yield result


def _do(task):
    """Make the files of a task: (number of parts, None), or (0, what is bad)."""
    try:
        arrays, parts = task.make(*task.arguments)
    except UNetError as error:
        return 0, str(error)
    for path, array in zip(task.outputs, arrays):
        _write(path, array)
    return parts, None


def _write(path, array):
    if path.suffix.lower() == TIFF_ENDING:
        write_stack(path, array)
    else:
        write_atomically(path, cv2.imencode(".png", array, [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION])[1])


def _end_with_parent():
    """Let a worker end when its parent was killed; it would wait for tasks for ever."""
    cv2.setNumThreads(1)

    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
