"""Prepare a raw data set for training: ``python preprocess_dataset.py --config_path=FILE.yaml --data_path=DIR``."""
import sys

from src.model_utils.interruption import Interruption
from src.model_utils.script import run_script


def main(config):
    """Prepare the data set; the exit status is 1 when some of it is bad, and the rest is prepared then."""
    interruption = Interruption("the pictures at work")   # before NumPy loads and makes threads
    from src.preparation.prepare import prepare

    bad = prepare(config, lambda: interruption.signum)
    return interruption.exit_status or (1 if bad else 0)


if __name__ == "__main__":
    sys.exit(run_script(main, "Prepare a raw data set (nuclei, COCO, ISBI stacks) for training."))
