"""Number of passes for a run of train.py, and its speed afterwards; used by train_performance_1p.sh.

Usage: python scripts/lib/step_rate.py passes STEPS OPTION...    print how many passes over the training images make at
                                                                 least STEPS steps with these options of train.py
       python scripts/lib/step_rate.py rate FOLDER               print the speed of the run with this output folder
"""
import statistics
import sys
from pathlib import Path

WARM_UP = 5     # steps at the start that do not count: they compile and fill caches


def passes(steps, options):
    """Return the passes over the training images that make at least ``steps`` steps, and more than WARM_UP."""
    from src.data.samples import create_samples
    from src.model_utils.config import parse_options

    config = parse_options(options, "")
    train, _ = create_samples(config)
    return -(-max(int(steps), WARM_UP + 1) * config.batch_size * config.accumulate_steps // len(train))


def rate(folder):
    """Return two lines on the speed of a run: means over the steps after WARM_UP, from its history.csv.

    Not medians: after a long wait for data the batches of the next steps are there already.

    Raises:
        UNetError: history.csv has too few steps, or cannot be read.
    """
    from src.model_utils.errors import UNetError
    from src.model_utils.files import HISTORY_CSV
    from src.report.history import STEP, read_history

    path = Path(folder) / HISTORY_CSV
    steps = [row for row in read_history(path) if row.kind == STEP]
    if len(steps) <= WARM_UP:
        raise UNetError(f"{path}: {len(steps)} steps found, expected more than {WARM_UP}; train longer")
    counted = steps[WARM_UP:]
    seconds = statistics.mean(row.seconds for row in counted)
    waiting = statistics.mean(row.seconds * row.waiting for row in counted)
    images = round(steps[0].images_per_second * steps[0].seconds)
    return (f"images per second: {images / seconds:.4g}\n"
            f"step time: {1000 * seconds:.4g} ms, {waiting / seconds:.0%} of it waiting for data (batch {images}, mean "
            f"of {len(counted)} steps after the first {WARM_UP})")


def main():
    """Print the answer to the command; the exit status is 2 for wrong usage and bad input."""
    from src.model_utils.script import guarded

    match sys.argv[1:]:
        case ["passes", steps, *options]:
            return guarded(lambda: print(passes(steps, options)))
        case ["rate", folder]:
            return guarded(lambda: print(rate(folder)))
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main())
