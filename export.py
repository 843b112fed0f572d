"""Export a checkpoint: ``python export.py --config_path=FILE.yaml --checkpoint_file_path=FILE --file_format=ONNX``."""
import os
import sys

from src.model_utils.script import run_script


def main(config):
    """Export the checkpoint."""
    from src.export import export  # MindSpore loads here, after the options are dealt with

    if config.enable_modelarts:     # which keeps what is in output_path alone
        config = config.replace(file_name=os.path.join(config.output_path, config.file_name))
    export(config)


if __name__ == "__main__":
    sys.exit(run_script(main, "Write a checkpoint as MINDIR, ONNX or AIR."))
