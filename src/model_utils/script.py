"""How a script starts and ends."""
import logging
import signal
import sys
import traceback

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.moxing_adapter import on_modelarts
from src.model_utils.runtime import quiet_mindspore

USAGE_STATUS = 2


def run_script(main, description, argv=None):
    """Read the options, call ``main(config)``, and turn its errors into one line and an exit status.

    Returns:
        int: what ``main`` returns, or 0, or 2 for wrong usage or bad input, or 1 for an error of the program.
    """
    argv = sys.argv[1:] if argv is None else argv
    debug = "--debug" in argv

    def work():
        nonlocal debug
        config = parse_options(argv, description)
        debug = config.debug
        log_to_stdout()
        quiet_mindspore()
        return on_modelarts(main, config) if config.enable_modelarts else main(config)

    return guarded(work, lambda: debug)


def guarded(work, debug=lambda: False):
    """Call ``work()`` and turn its errors into one line on standard error, below the traceback if ``debug()``.

    Returns:
        int: what ``work`` returns, or 0, or 2 for wrong usage or bad input, or 1 for an error of the program.
    """
    try:
        return work() or 0
    except UNetError as error:
        return _fail(f"error: {error}", USAGE_STATUS, debug)
    except KeyboardInterrupt:
        return _fail("interrupted", 128 + signal.SIGINT, debug)
    except Exception as error:   # the last stop before the interpreter's own traceback
        # MindSpore's texts begin with a ruled line.
        text = [line for line in str(error).splitlines() if line.strip(" -")]
        return _fail(f"error: {type(error).__name__}: {text[0] if text else ''} (a fault of the program; --debug shows "
                     f"the traceback)", 1, debug)


def _fail(message, status, debug):
    if debug():
        traceback.print_exc()
    sys.stdout.flush()
    print(message, file=sys.stderr)
    return status


class AboveLiveLine(logging.StreamHandler):
    """Writes each line above the live line that tqdm may have on the terminal."""

    def emit(self, record):
        from tqdm import tqdm

        tqdm.write(self.format(record), file=self.stream)


def log_to_stdout():
    """The log lines that users grep for are bare text on standard output, one by one as they come."""
    logger = logging.getLogger("unet")
    if not logger.handlers:
        handler = (AboveLiveLine if sys.stdout.isatty() else logging.StreamHandler)(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
