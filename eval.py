"""Evaluate a checkpoint: ``python eval.py --config_path=FILE.yaml --data_path=DIR --checkpoint_file_path=FILE``."""
import sys

from src.model_utils.script import run_script


def main(config):
    """Score the checkpoint on the validation images."""
    from src.cpu_ops import choose_layers
    from src.data.samples import create_samples
    from src.inference.tta import with_tta
    from src.model_utils import runtime
    from src.networks.inference_network import predictor
    from src.networks.registry import build_network, check_sizes
    from src.report.evaluation import report
    from src.training.checkpoint import load_weights  # MindSpore loads here, after the options are dealt with

    place = runtime.start(config)
    _, samples = create_samples(config)
    geometry = samples.transform.geometry
    check_sizes(config, geometry.input, geometry.content)
    network = build_network(config, choose_layers(config.cpu_ops, place.device, config.context_mode,
                                                  precision=config.cpu_precision))
    load_weights(network, config.checkpoint_file_path)
    predict = with_tta(predictor(network, config.eval_activate), config)
    report(predict, samples, config, config.checkpoint_file_path, "eval.py", place.device)


if __name__ == "__main__":
    sys.exit(run_script(main, "Evaluate a checkpoint on the validation images."))
