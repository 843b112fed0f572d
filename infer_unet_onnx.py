"""Evaluate an ONNX file: ``python infer_unet_onnx.py --config_path=FILE.yaml --file_name=FILE.onnx --data_path=DIR``.

Also ``python infer_unet_onnx.py CONFIG ONNX DATASET DEVICE``. MindSpore is not needed.
"""
import sys

from src.model_utils.script import run_script

POSITIONS = ("config_path", "file_name", "data_path", "device_target")


def main(config):
    """Score the ONNX file on the validation images."""
    from src.data.input_options import validation_samples
    from src.inference.loading import load_onnx_file
    from src.report.evaluation import evaluate_and_report

    network = load_onnx_file(config)
    samples = validation_samples(network.config, network.stored)
    evaluate_and_report(network.for_evaluation(), samples, network.config, network.path, "infer_unet_onnx.py",
                        network.device, network.names)


def by_name(argv: list[str]) -> list[str]:
    """Turn the positional form's four values into options; return other arguments as they are."""
    if len(argv) == len(POSITIONS) and not any(value.startswith("-") for value in argv):
        return [f"--{name}={value}" for name, value in zip(POSITIONS, argv)]
    return argv


if __name__ == "__main__":
    sys.exit(run_script(main, "Evaluate an ONNX file on the validation images.", by_name(sys.argv[1:])))
