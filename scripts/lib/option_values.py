"""Print values of options, a line each: ``python option_values.py NAME... OPTION...``, with train.py's options."""
import sys
from pathlib import Path


def main(arguments):
    """Return the exit status."""
    from src.model_utils.script import run_script

    # A value may be the next word.
    count = next((place for place, argument in enumerate(arguments) if argument.startswith("-")), len(arguments))
    names, options = arguments[:count], arguments[count:]
    sys.stdout.reconfigure(errors="surrogateescape")        # paths may hold any bytes
    return run_script(lambda config: print(*(getattr(config, name) for name in names), sep="\n"), "", options,
                      may_choose=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main(sys.argv[1:]))
