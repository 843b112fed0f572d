"""Score another runtime's results: ``python postprocess.py --config_path=FILE.yaml --data_path=DIR --rst_path=DIR``."""
import sys

from src.model_utils.script import run_script


def main(config):
    """Score the results in rst_path on the validation images, as eval.py scores a checkpoint."""
    from src.data.input_options import CLASS_NAMES, follow
    from src.export.network_file import options_of
    from src.export.runtime_files import results_and_labels
    from src.report.evaluation import evaluate_and_report

    stored = options_of(config)
    config = follow(config, stored, config.file_name)
    predict, samples = results_and_labels(config)
    evaluate_and_report(predict, samples, config, config.rst_path, "postprocess.py", "another runtime",
                        stored.get(CLASS_NAMES, ()))


if __name__ == "__main__":
    sys.exit(run_script(main, "Score the results of another runtime (C++ inference) on the validation images."))
