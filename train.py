"""Train a network: ``python train.py --config_path=FILE.yaml --data_path=DIR``."""
import sys

from src.model_utils.script import run_script
from src.model_utils.signals import Interruption


def main(config):
    """Train as the options say; an interrupted run says how to resume it."""
    interruption = Interruption()   # before MindSpore loads and makes threads
    from src.training.run import train

    train(config, lambda: interruption.signum)
    return interruption.exit_status


if __name__ == "__main__":
    sys.exit(run_script(main, "Train U-Net or UNet++ on ISBI stacks or image folders."))
