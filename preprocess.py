"""Write the validation images for another runtime: ``python preprocess.py --config_path=FILE.yaml --data_path=DIR``."""
import sys

from src.model_utils.moxing_adapter import persistent_path
from src.model_utils.script import run_script


def main(config):
    """Write the inputs into result_path, and for some layouts the labels into the current folder."""
    from src.data.input_options import follow, validation_samples
    from src.data.layouts import LAYOUTS
    from src.export.network_file import check_size, options_of
    from src.export.runtime_files import write_inputs
    from src.export.stored_labels import LABELS, check_labels, write_labels

    stored = options_of(config)
    config = follow(config, stored, config.file_name)
    samples = validation_samples(config, stored)
    if samples.transform.geometry:
        check_size(config, samples.transform.geometry.input)
    stem = LAYOUTS[config.dataset].input_stem
    labels = persistent_path(config, LABELS)
    if stem:
        check_labels(labels)     # before anything is written
    write_inputs(persistent_path(config, config.result_path), samples, stem, as_images=config.result_format == "auto")
    if stem:
        write_labels(labels, samples)


if __name__ == "__main__":
    sys.exit(run_script(main, "Write the validation images as inputs of another runtime (C++ inference)."))
