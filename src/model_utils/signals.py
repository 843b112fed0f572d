"""SIGINT and SIGTERM: a request to stop after the current step, and forwarding them to a child process."""
import ctypes
import logging
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from types import FrameType

logger = logging.getLogger("unet")

SIGNALS = {signal.SIGINT, signal.SIGTERM}

ONE_REQUEST = 1.0       # seconds within which the same signal of several senders is one request

PR_SET_PDEATHSIG = 1    # from sys/prctl.h


class Interruption:
    """Waits for SIGINT or SIGTERM from now on; ``signum`` is the first that came, or None.

    The signals are blocked and a thread waits for them. A handler would not do: after each graph call MindSpore
    installs its own for SIGINT, which ends the process. New threads inherit the blocked signals, so make this object
    before NumPy and MindSpore are loaded.

    Args:
        work (str): what is finished before the process ends, for the log.
    """

    def __init__(self, work: str = "the step") -> None:
        self.signum: int | None = None
        self.work = work
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        # Data workers are forked and ended by SIGTERM, so they must not inherit the blocked signals.
        os.register_at_fork(after_in_child=_unblock)
        threading.Thread(target=self._wait, daemon=True).start()

    @property
    def exit_status(self) -> int:
        """The status that the shell expects of an interrupted process; 0 if no signal came."""
        return 128 + self.signum if self.signum else 0

    def _wait(self) -> None:
        first, since = signal.sigwaitinfo(SIGNALS), time.monotonic()
        self.signum = first.si_signo
        logger.info("%s: finishing %s; once more to end at once", signal.Signals(self.signum).name, self.work)
        while again := signal.sigwaitinfo(SIGNALS):
            # A scheduler signals all processes of a job, of which some pass the signal on: that is one request.
            is_passed_on = (again.si_signo == first.si_signo and again.si_pid != first.si_pid
                            and time.monotonic() - since < ONE_REQUEST)
            if not is_passed_on:
                os._exit(128 + again.si_signo)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


class ChildProcess:
    """Runs one program at a time. In its ``with`` block SIGINT and SIGTERM are forwarded to that program.

    The program runs in a session of its own, so that Ctrl-C on the terminal reaches it only once, through this process.
    If this process is killed, the program is killed too (on Linux).
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._signum: int | None = None
        self._libc = ctypes.CDLL(None)

    def __enter__(self) -> "ChildProcess":
        self._before = {signum: signal.signal(signum, self._forward) for signum in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _forward(self, signum: int, _: FrameType | None) -> None:
        self._signum = self._signum or signum
        if self._process:
            self._process.send_signal(signum)

    def run(self, command: list[str]) -> int:
        """Run ``command`` with the standard output and error of this process. After a signal nothing is run any more.

        Returns:
            int: its exit status, or 128 plus the number of the signal that ended it or that was forwarded to it.
        """
        # A signal waits until there is a process to forward it to.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._process = None if self._signum else subprocess.Popen(
                command, stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=self._in_child)      # noqa: PLW1509 - it makes two system calls and takes no lock
        finally:
            _unblock()
        status = self._process.wait() if self._process else 0
        self._process = None
        if self._signum:
            return 128 + self._signum
        return status if status >= 0 else 128 - status

    def _in_child(self) -> None:
        with suppress(AttributeError):      # only Linux has prctl
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _unblock()
