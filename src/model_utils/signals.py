"""SIGINT and SIGTERM: as a request to stop after the current step, and passed on to a program that runs for us."""
import ctypes
import logging
import os
import signal
import subprocess
import threading
from contextlib import suppress

logger = logging.getLogger("unet")

SIGNALS = {signal.SIGINT, signal.SIGTERM}

PR_SET_PDEATHSIG = 1


class Interruption:
    """Watches for the signals from its making on; ``signum`` is the first that came, or None.

    The signals are blocked and a thread waits for them, because a handler would not do: after each graph call
    MindSpore installs its own for SIGINT, which ends the process. Threads take over the blocking from the one
    that makes them, so this comes before NumPy and MindSpore are loaded.

    Args:
        work (str): what is finished before the process ends, for the log.
    """

    def __init__(self, work="the step"):
        self.signum = None
        self.work = work
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        # Data workers are forked; they are ended by SIGTERM, and must not inherit the blocking.
        os.register_at_fork(after_in_child=_unblock)
        threading.Thread(target=self._wait, daemon=True).start()

    @property
    def name(self):
        """Name of the signal that came."""
        return signal.Signals(self.signum).name

    @property
    def exit_status(self):
        """What the shell expects of an interrupted process; 0 where no signal came."""
        return 128 + self.signum if self.signum else 0

    def _wait(self):
        self.signum = signal.sigwait(SIGNALS)
        logger.info("%s: finishing %s; once more to end at once", self.name, self.work)
        os._exit(128 + signal.sigwait(SIGNALS))


def _unblock():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


class Relay:
    """Runs one program at a time; in its ``with`` block SIGINT and SIGTERM are passed on to that program.

    A program runs in a session of its own, so that Ctrl-C on the terminal reaches it once, through this process. If
    this process is killed, the program is killed with it (on Linux).
    """

    def __init__(self):
        self._process, self._signum = None, None
        self._libc = ctypes.CDLL(None)

    def __enter__(self):
        self._before = {signum: signal.signal(signum, self._pass_on) for signum in SIGNALS}
        return self

    def __exit__(self, *_):
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _pass_on(self, signum, _):
        self._signum = self._signum or signum
        if self._process:
            self._process.send_signal(signum)

    def run(self, command):
        """Run ``command`` (a list of words) on this process's screen.

        Returns:
            int: its exit status, or 128 and the number of the signal that ended it, or that came while it ran.
        """
        # A signal waits until there is a process to pass it on to.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._process = None if self._signum else subprocess.Popen(
                command, stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=self._in_child)      # noqa: PLW1509 - it calls the system twice, and takes no lock
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        status = self._process.wait() if self._process else 0
        self._process = None
        if self._signum:
            return 128 + self._signum
        return status if status >= 0 else 128 - status

    def _in_child(self):
        with suppress(AttributeError):      # elsewhere than on Linux
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
