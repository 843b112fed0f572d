"""Prepare a raw data set for training: ``python preprocess_dataset.py --config_path=FILE.yaml --data_path=DIR``."""
import sys

from src.model_utils.config import AUTO
from src.model_utils.errors import UNetError
from src.model_utils.script import run_script
from src.model_utils.signals import Interruption


def main(config):
    """Prepare the data set, or check a prepared one; the exit status is 1 if some items are bad."""
    if config.check:
        from src.planning.plan import planned
        from src.report.dataset_report import check_and_report

        config = planned(config)
        if config is not None:
            check_and_report(config)
        return 0
    if config.yaml_file == AUTO:
        raise UNetError("config_path auto is for --check=True; train.py prepares raw data itself")
    interruption = Interruption("the images at work")   # before NumPy loads and makes threads
    from src.data.preparation.prepare import prepare

    bad = prepare(config, lambda: interruption.signum)
    return interruption.exit_status or (1 if bad else 0)


if __name__ == "__main__":
    sys.exit(run_script(main, "Prepare a raw data set (nuclei, COCO, ISBI stacks) for training, or check one.",
                        may_choose=True))
