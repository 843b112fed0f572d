"""Write the validation images for another runtime: ``python preprocess.py --config_path=FILE.yaml --data_path=DIR``."""
import sys

from src.model_utils.moxing_adapter import persistent_path
from src.model_utils.script import run_script


def main(config):
    """Write the inputs into result_path."""
    from src.data.samples import create_samples
    from src.export.runtime_files import write_inputs

    is_stack = config.dataset == "ISBI"
    train, valid = create_samples(config)
    others = [] if is_stack else train.reader.pairs
    write_inputs(persistent_path(config, config.result_path), valid, is_stack, others,
                 pictures=config.result_format == "auto")


if __name__ == "__main__":
    sys.exit(run_script(main, "Write the validation images as inputs of another runtime (C++ inference)."))
