"""Evaluate an ONNX file: ``python infer_unet_onnx.py --config_path=FILE.yaml --file_name=FILE.onnx --data_path=DIR``.

Also ``python infer_unet_onnx.py CONFIG ONNX DATASET DEVICE``. MindSpore is not needed.
"""
import sys

from src.model_utils.script import run_script

POSITIONS = ("config_path", "file_name", "data_path", "device_target")


def main(config):
    """Score the ONNX file on the validation images."""
    from src.data.samples import create_samples
    from src.export.onnx_model import OnnxNetwork
    from src.inference.tta import with_tta
    from src.model_utils.files import with_ending
    from src.report.evaluation import evaluate_and_report

    model = OnnxNetwork(with_ending(config.file_name, ".onnx"), config.device_target)
    model.check(config.num_channels, config.num_classes)
    predict = with_tta(model, model.activate) if config.tta else model
    config = config.replace(eval_activate=model.activate)
    evaluate_and_report(predict, create_samples(config)[1], config, model.path, "infer_unet_onnx.py", model.provider)


def by_name(argv: list[str]) -> list[str]:
    """Turn the positional form's four values into options; return other arguments as they are."""
    if len(argv) == len(POSITIONS) and not any(value.startswith("-") for value in argv):
        return [f"--{name}={value}" for name, value in zip(POSITIONS, argv)]
    return argv


if __name__ == "__main__":
    sys.exit(run_script(main, "Evaluate an ONNX file on the validation images.", by_name(sys.argv[1:])))
