"""Score another runtime's results: ``python postprocess.py --config_path=FILE.yaml --data_path=DIR --rst_path=DIR``."""
import sys

from src.model_utils.script import run_script


def main(config):
    """Score the results in rst_path on the validation images, as eval.py scores a checkpoint."""
    from src.data.layouts import LAYOUTS
    from src.data.samples import create_samples
    from src.export.runtime_files import result_predictor
    from src.report.evaluation import evaluate_and_report

    _, samples = create_samples(config)
    predict = result_predictor(config.rst_path, samples, config.eval_activate, LAYOUTS[config.dataset].input_stem)
    evaluate_and_report(predict, samples, config, config.rst_path, "postprocess.py", "another runtime")


if __name__ == "__main__":
    sys.exit(run_script(main, "Score the results of another runtime (C++ inference) on the validation images."))
