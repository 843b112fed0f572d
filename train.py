"""Train a network: ``python train.py --config_path=FILE.yaml --data_path=DIR``."""
import sys
import time

from src.model_utils.script import run_script
from src.model_utils.signals import Interruption


def main(config):
    """Train as the options say; an interrupted run says how to resume it."""
    interruption = Interruption()   # before MindSpore loads and makes threads
    began = time.monotonic()
    from src.planning.plan import planned

    config = planned(config, lambda: interruption.signum)
    if config is not None:
        from src.training.run import train

        train(config, lambda: interruption.signum, began)
    return interruption.exit_status


if __name__ == "__main__":
    sys.exit(run_script(main, "Train U-Net or UNet++ on ISBI stacks or image folders.", may_choose=True))
