"""Print values of options, a line each: ``python option_values.py NAME... OPTION...``, OPTION being --key=value."""
import sys
from pathlib import Path


def main(arguments):
    """Return the exit status."""
    from src.model_utils.script import run_script

    names = [argument for argument in arguments if not argument.startswith("--")]
    sys.stdout.reconfigure(errors="surrogateescape")        # paths may hold any bytes
    return run_script(lambda config: print(*(getattr(config, name) for name in names), sep="\n"), "",
                      arguments[len(names):])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main(sys.argv[1:]))
