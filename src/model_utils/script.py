"""How a script starts and ends."""
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from src.model_utils.errors import UNetError, printable
from src.model_utils.python_process import forget_current_folder

if TYPE_CHECKING:
    from src.model_utils.config import Config

USAGE_STATUS = 2


def run_script(main: Callable[["Config"], int | None], description: str, argv: list[str] | None = None,
               may_choose: bool = False) -> int:
    """Read the options, call ``main(config)``, and turn its errors into one line and an exit status.

    Args:
        main (callable): takes the Config, returns an exit status or None.
        description (str): first line of ``--help``.
        argv (list[str]): arguments; those of the command line if None.
        may_choose (bool): whether ``main`` can choose options itself, for config_path auto.

    Returns:
        int: what ``main`` returns, or 0; 2 for wrong usage or bad input; 1 for an error in the program.
    """
    argv = sys.argv[1:] if argv is None else argv
    debug = "--debug" in argv

    def work() -> int | None:
        nonlocal debug
        forget_current_folder()
        # Here, so that a Python without the packages that they import is told so in one line.
        from src.model_utils.config import parse_options
        from src.model_utils.moxing_adapter import on_modelarts
        from src.model_utils.runtime import quiet_mindspore

        log_to_stdout()     # also for the warnings about the options
        config = parse_options(argv, description, may_choose)
        debug = config.debug
        quiet_mindspore()
        return on_modelarts(main, config) if config.enable_modelarts else main(config)

    return guarded(work, lambda: debug)


def guarded(work: Callable[[], int | None], debug: Callable[[], bool] = lambda: False) -> int:
    """Call ``work()`` and turn its errors into one line on standard error, after the traceback if ``debug()``.

    Returns:
        int: what ``work`` returns, or 0; 2 for wrong usage or bad input; 1 for an error in the program.
    """
    try:
        return work() or 0
    except UNetError as error:
        return _fail(f"error: {error}", USAGE_STATUS, debug)
    except ModuleNotFoundError as error:
        if (error.name or "src").split(".")[0] == "src":
            return _fault(error, debug)
        return _fail(f"error: {sys.executable} has no package {error.name}; activate the environment that has it, or "
                     f"pip install -r requirements.txt", USAGE_STATUS, debug)
    except KeyboardInterrupt:
        return _fail("interrupted", 128 + signal.SIGINT, debug)
    except Exception as error:   # otherwise the interpreter would print a traceback
        return _fault(error, debug)


def _fault(error: Exception, debug: Callable[[], bool]) -> int:
    # MindSpore's messages begin with a line of dashes.
    text = [line for line in str(error).splitlines() if line.strip(" -")]
    return _fail(f"error: {type(error).__name__}: {text[0] if text else ''} (a fault of the program; --debug shows the "
                 f"traceback)", 1, debug)


def _fail(message: str, status: int, debug: Callable[[], bool]) -> int:
    if debug():
        traceback.print_exc()
    sys.stdout.flush()
    print(printable(message), file=sys.stderr)
    return status


class PlainFormatter(logging.Formatter):
    """Formats a record as its message, with control characters as escapes; only the text of a line breaks it."""

    def formatMessage(self, record: logging.LogRecord) -> str:      # noqa: N802 - logging's name
        arguments = record.args if isinstance(record.args, tuple) else ()
        escaped = tuple(printable(str(item)) if isinstance(item, (str, os.PathLike, Exception)) else item
                        for item in arguments)
        message = str(record.msg) % escaped if escaped else record.getMessage()
        return "\n".join(map(printable, message.split("\n")))


class AboveProgressBar(logging.StreamHandler):
    """Writes each line above the progress bar that tqdm may show on the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=self.stream)


def log_to_stdout() -> None:
    """Write the log as bare text to standard output, one line as soon as it comes: users search it for these lines."""
    logger = logging.getLogger("unet")
    if not logger.handlers:
        handler = (AboveProgressBar if sys.stdout.isatty() else logging.StreamHandler)(sys.stdout)
        handler.setFormatter(PlainFormatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
