"""Write what an ONNX file says about its network beside a file made of it: ``copy_description.py X.onnx X.mindir``.

``copy_description.py X.onnx`` only checks that the file may be converted.
"""
import sys
from pathlib import Path


def main(arguments):
    """Return the exit status."""
    from src.export.network_file import copy_description
    from src.export.onnx_model import OnnxNetwork
    from src.model_utils.script import guarded

    def work():
        if len(arguments) == 1:
            OnnxNetwork(arguments[0])
        else:
            copy_description(*map(Path, arguments))
    return guarded(work)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main(sys.argv[1:]))
