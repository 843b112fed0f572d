"""Write the validation images for another runtime: ``python preprocess.py --config_path=FILE.yaml --data_path=DIR``."""
import sys

from src.model_utils.moxing_adapter import persistent_path
from src.model_utils.script import run_script


def main(config):
    """Write the inputs into result_path."""
    from src.data.layouts import LAYOUTS
    from src.data.samples import create_samples
    from src.export.runtime_files import write_inputs

    _, samples = create_samples(config)
    write_inputs(persistent_path(config, config.result_path), samples, LAYOUTS[config.dataset].input_stem,
                 as_images=config.result_format == "auto")


if __name__ == "__main__":
    sys.exit(run_script(main, "Write the validation images as inputs of another runtime (C++ inference)."))
