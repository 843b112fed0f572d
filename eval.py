"""Evaluate a checkpoint: ``python eval.py --config_path=FILE.yaml --data_path=DIR --checkpoint_file_path=FILE``."""
import sys

from src.model_utils.script import run_script


def main(config):
    """Score the checkpoint, or the mean of several, on the validation images."""
    from src.data.input_options import validation_samples
    from src.inference.loading import load_checkpoints
    from src.networks.registry import check_sizes
    from src.report.evaluation import evaluate_and_report

    network = load_checkpoints(config)
    samples = validation_samples(network.config, network.stored)
    geometry = samples.transform.geometry
    if geometry:
        check_sizes(network.config.model_name, geometry.input, geometry.content, network.config.image_size)
    evaluate_and_report(network.for_evaluation(), samples, network.config, network.path, "eval.py",
                        network.device, network.names)


if __name__ == "__main__":
    sys.exit(run_script(main, "Evaluate a checkpoint on the validation images."))
