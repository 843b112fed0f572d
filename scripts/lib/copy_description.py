"""Write what an ONNX file says about its network beside a file made of it: ``copy_description.py X.onnx X.mindir``."""
import sys
from pathlib import Path


def main(arguments):
    """Return the exit status."""
    from src.export.network_file import copy_description
    from src.model_utils.script import guarded

    return guarded(lambda: copy_description(*map(Path, arguments)))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main(sys.argv[1:]))
