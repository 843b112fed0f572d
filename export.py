"""Export a checkpoint: ``python export.py --config_path=FILE.yaml --checkpoint_file_path=FILE --file_format=ONNX``."""
import sys

from src.model_utils.moxing_adapter import persistent_path
from src.model_utils.script import run_script


def main(config):
    """Export the checkpoint."""
    from src.export.export import export  # MindSpore loads here, after the options are dealt with

    export(config.replace(file_name=persistent_path(config, config.file_name)))


if __name__ == "__main__":
    sys.exit(run_script(main, "Write a checkpoint as MINDIR, ONNX, AIR or a package of bioimage.io."))
