"""Prepare a raw data set for training: ``python preprocess_dataset.py --config_path=FILE.yaml --data_path=DIR``."""
import sys

from src.model_utils.script import run_script
from src.model_utils.signals import Interruption


def main(config):
    """Prepare the data set, or check a prepared one; the exit status is 1 if some items are bad."""
    if config.check:
        check(config)
        return 0
    interruption = Interruption("the images at work")   # before NumPy loads and makes threads
    from src.data.preparation.prepare import prepare

    bad = prepare(config, lambda: interruption.signum)
    return interruption.exit_status or (1 if bad else 0)


def check(config):
    """Check all samples as training and validation would read them."""
    from pathlib import Path

    from src.data.dataset_check import check_dataset
    from src.data.samples import create_samples
    from src.model_utils.files import DATASET_JSON

    check_dataset(*create_samples(config), Path(config.output_path) / DATASET_JSON)


if __name__ == "__main__":
    sys.exit(run_script(main, "Prepare a raw data set (nuclei, COCO, ISBI stacks) for training, or check one."))
