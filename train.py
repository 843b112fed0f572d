"""Train a network: ``python train.py --config_path=FILE.yaml --data_path=DIR``."""
import sys

from src.model_utils.script import run_script


def main(config):
    """Train as the options say."""
    from src.trainer import train  # MindSpore loads here, after the options are dealt with

    train(config)


if __name__ == "__main__":
    sys.exit(run_script(main, "Train U-Net or UNet++ on ISBI stacks or image folders."))
