"""Evaluate a checkpoint: ``python eval.py --config_path=FILE.yaml --data_path=DIR --checkpoint_file_path=FILE``."""
import sys

from src.model_utils.script import run_script


def main(config):
    """Score the checkpoint on the validation images."""
    # MindSpore loads here, after the options are dealt with.
    from src.data.samples import create_samples
    from src.inference.assemble import assemble_network
    from src.inference.tta import with_tta
    from src.model_utils.runtime import start_runtime
    from src.networks.inference_network import predictor
    from src.networks.registry import check_sizes
    from src.report.evaluation import evaluate_and_report

    runtime = start_runtime(config)
    _, samples = create_samples(config)
    geometry = samples.transform.geometry
    check_sizes(config.model_name, geometry.input, geometry.content, config.image_size)
    network = assemble_network(config, runtime.device, config.checkpoint_file_path)
    predict = predictor(network, config.eval_activate)
    if config.tta:
        predict = with_tta(predict, config.eval_activate)
    evaluate_and_report(predict, samples, config, config.checkpoint_file_path, "eval.py", runtime.device)


if __name__ == "__main__":
    sys.exit(run_script(main, "Evaluate a checkpoint on the validation images."))
