"""Make a checkpoint for unet_keras of the weights of a Keras 2D U-Net (npz or HDF5).

Usage: python scripts/convert_keras_weights.py FILE OUTPUT.ckpt
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.export.keras_weights import convert  # noqa: E402
from src.model_utils.runtime import quiet_mindspore  # noqa: E402
from src.model_utils.script import guarded, log_to_stdout  # noqa: E402


def main():
    """Convert; the exit status is 2 for wrong usage and for a file that cannot be converted."""
    parser = argparse.ArgumentParser(description="Make a checkpoint for unet_keras of the weights of a Keras U-Net.")
    parser.add_argument("file", metavar="FILE", help="npz file of model.get_weights(), or HDF5 file of Keras")
    parser.add_argument("output", metavar="OUTPUT.ckpt", help="the checkpoint, for eval.py, predict.py, export.py")
    args = parser.parse_args()
    log_to_stdout()
    quiet_mindspore()
    return guarded(lambda: convert(args.file, args.output))


if __name__ == "__main__":
    sys.exit(main())
