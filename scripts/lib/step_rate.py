"""Images per second and step time of a run of train.py; see train_performance_1p.sh.

Usage: python scripts/lib/step_rate.py passes STEPS OPTION...    passes over the training images that make so many steps
       python scripts/lib/step_rate.py rate LOG OPTION...        two lines, of the log of a run with these options
"""
import re
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from src.data.samples import create_samples  # noqa: E402
from src.model_utils.config import parse_options  # noqa: E402
from src.model_utils.errors import UNetError  # noqa: E402
from src.model_utils.script import guarded  # noqa: E402

WARM_UP = 5     # steps that are left out: they compile, and fill caches


def passes(steps, config):
    """Passes over the training images that make at least ``steps`` steps."""
    train, _ = create_samples(config)
    return -(-max(int(steps), WARM_UP + 1) * config.batch_size * config.accumulate_steps // len(train.indices))


def rate(log, config):
    """Two lines of text: the median over the steps behind the first few."""
    text = Path(log).read_text()
    rates = [float(found) for found in re.findall(r"^step: \d+, loss is \S+, fps is (\S+)$", text, re.MULTILINE)]
    if len(rates) <= WARM_UP:
        raise UNetError(f"{log}: {len(rates)} step lines found, expected more than {WARM_UP}")
    images = config.batch_size * config.accumulate_steps
    fps = statistics.median(rates[WARM_UP:])
    return (f"images per second: {fps:.4g}\n"
            f"step time: {1000 * images / fps:.4g} ms (batch {images}, median of {len(rates) - WARM_UP} steps after "
            f"the first {WARM_UP})")


def main():
    """Print what is asked for; the exit status is 2 for bad input."""
    if len(sys.argv) < 3 or sys.argv[1] not in ("passes", "rate"):
        print(__doc__, file=sys.stderr)
        return 2
    command, argument, *options = sys.argv[1:]
    return guarded(lambda: print({"passes": passes, "rate": rate}[command](argument, parse_options(options, ""))))


if __name__ == "__main__":
    sys.exit(main())
