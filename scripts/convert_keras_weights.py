"""Convert the weights of a Keras 2D U-Net (npz or HDF5) to a checkpoint of unet_keras.

Usage: python scripts/convert_keras_weights.py FILE OUTPUT.ckpt
"""
import argparse
import sys
from pathlib import Path


def main() -> int:
    """Read the arguments and convert. The exit status is 2 for wrong usage and for a file that cannot be converted."""
    from src.model_utils.runtime import quiet_mindspore
    from src.model_utils.script import guarded, log_to_stdout

    parser = argparse.ArgumentParser(description="Convert the weights of a Keras U-Net to a checkpoint of unet_keras.")
    parser.add_argument("file", metavar="FILE", help="npz file of model.get_weights(), or HDF5 file of Keras")
    parser.add_argument("output", metavar="OUTPUT.ckpt", help="the checkpoint, for eval.py, predict.py and export.py")
    args = parser.parse_args()
    log_to_stdout()
    quiet_mindspore()

    def convert_file():
        from src.export.keras_weights import convert  # MindSpore loads here, after --help is answered

        convert(args.file, args.output)

    return guarded(convert_file)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
