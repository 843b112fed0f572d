"""SIGINT and SIGTERM as a request to stop after the current step; a second one ends the process at once."""
import logging
import os
import signal
import threading

logger = logging.getLogger("unet")

SIGNALS = {signal.SIGINT, signal.SIGTERM}


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
