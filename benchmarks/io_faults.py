"""Let each call to the disk fail once, in short runs of the scripts, and see what is left.

``python benchmarks/io_faults.py`` counts the calls with which a command opens files for writing, writes, syncs, renames
and makes folders below its output folder. Then it runs the command once for each call and each of two errors (no space
left; input/output error), in which only this call fails, and once more without a fault. The failing run must end with
one line of error, or go on with a warning; files of earlier runs must be whole; the second run must give the results of
an undisturbed one, bit for bit. The table counts how the failing runs ended. It needs a C compiler.
"""
import argparse
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

PROJECT = Path(__file__).resolve().parents[1]
OUTCOMES = ("error", "warning", "unharmed")


def try_faults(name, numbers, runner):
    """Try some calls of a command. Return (calls of the command, [(kind, how the run ended or what was wrong)])."""
    from tests.support.io_faults import COMMANDS, ERRORS, Experiment

    experiment, found = Experiment(runner, COMMANDS[name]), []
    for number in numbers(experiment.calls):
        for error in ERRORS:
            try:
                outcome = experiment.try_fault(number, error)
            except AssertionError as fault:
                outcome = "wrong"
                print(f"WRONG: {name}: call {number}, {' '.join(experiment.failed)}, {os.strerror(error)}: {fault}",
                      flush=True)
            found.append((experiment.failed[0], outcome))
    return experiment.calls, found


def rows(name, calls, found):
    """Return the lines of the table about a command."""
    from tests.support.io_faults import KINDS

    made, ends = Counter(kind for kind, _ in calls), Counter(found)
    for kind in KINDS:
        tried = sum(count for (other, _), count in ends.items() if other == kind)
        yield " | ".join([f"| {name}", kind, str(made[kind]), str(tried), *(
            str(ends[kind, outcome]) for outcome in OUTCOMES), f"{tried - ends[kind, 'wrong']} |"])


def main():
    """Try all faults; return 1 if something was wrong."""
    from tests.support.io_faults import COMMANDS, Place, Runner, sites

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--commands", default="", help="only those whose names contain one of these: predict,export")
    parser.add_argument("--sites", action="store_true",
                        help="of the calls of a kind on a file, only the first, one in the middle and the last")
    parser.add_argument("--processes", type=int, default=2, help="runs at a time")
    args = parser.parse_args()
    names = [name for name in COMMANDS if any(part in name for part in args.commands.split(","))]
    with tempfile.TemporaryDirectory(prefix="io_faults_") as folder:
        place, free = Place(Path(folder)), Queue()
        runners = [Runner(place, f"run_{number}") for number in range(args.processes)]
        for runner in runners:
            free.put(runner)

        def work(name):
            runner = free.get()
            try:
                return try_faults(name, sites if args.sites else lambda calls: range(1, len(calls) + 1), runner)
            finally:
                free.put(runner)

        with ThreadPoolExecutor(args.processes) as pool:
            results = dict(zip(names, pool.map(work, names)))
        for runner in runners:
            runner.close()
    print("| command | kind of call | calls | faults | ended with an error | went on with a warning | did no harm | "
          "as they should |\n|---|---|---|---|---|---|---|---|")
    for name, (calls, found) in results.items():
        print("\n".join(rows(name, calls, found)))
    return int(any(outcome == "wrong" for _, found in results.values() for _, outcome in found))


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    sys.exit(main())
