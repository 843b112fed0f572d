"""Predict masks: ``python predict.py --config_path=FILE.yaml --checkpoint_file_path=FILE --data_path=IMAGES``."""
import sys

from src.model_utils.script import run_script


def main(config):
    """Write the masks; the exit status is 1 if some of several files could not be predicted."""
    from src.inference.predict import predict

    return 1 if predict(config) else 0


if __name__ == "__main__":
    sys.exit(run_script(main, "Predict the masks of images, stacks or folders of images."))
