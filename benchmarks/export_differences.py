"""Export every network in every format that a CPU can write, and print the largest differences as a Markdown table.

``python benchmarks/export_differences.py``. Weights are random (he_uniform). The export itself compares each file with
the network on random images and refuses a difference above 1e-4; this collects the differences that it logs.
"""
import argparse
import logging
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
NETWORKS = {
    "unet_medical": ["--model_name=unet_medical", "--width=220", "--height=188"],
    "unet_simple": ["--model_name=unet_simple", "--width=96", "--height=64"],
    "unet_simple, 3 channels, 81 classes": ["--model_name=unet_simple", "--num_channels=3", "--num_classes=81",
                                            "--width=64", "--height=48"],
    "unet_nested": ["--model_name=unet_nested", "--width=96", "--height=64"],
    "unet_nested, bilinear, without batch norm": ["--model_name=unet_nested", "--use_deconv=False", "--use_bn=False",
                                                  "--width=96", "--height=64"],
    "unet_bilinear": ["--model_name=unet_bilinear", "--num_channels=3", "--width=96", "--height=64"],
    "unet_keras": ["--model_name=unet_keras", "--width=96", "--height=64"],
}
COLUMNS = {
    "MINDIR, batch 1": ["--file_format=MINDIR", "--batch_size=1"],
    "ONNX, batch 1": ["--file_format=ONNX", "--batch_size=1"],
    "ONNX, batch 4": ["--file_format=ONNX", "--batch_size=4"],
    "ONNX, any size": ["--file_format=ONNX", "--batch_size=1", "--dynamic=True"],
}


class Differences(logging.Handler):
    """Takes the difference from the log of the export."""

    def emit(self, record):
        if record.msg.startswith("largest difference"):
            self.last = record.args[0]


def main():
    """Print the table, row by row."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    from src.export.export import export
    from src.model_utils.config import parse_options
    from src.model_utils.runtime import cap_cpu_instruction_set, quiet_mindspore
    from src.networks.registry import NetworkSpec, build_network, probabilities
    from src.training import checkpoint

    quiet_mindspore()
    cap_cpu_instruction_set()
    differences = Differences()
    logging.getLogger("unet").addHandler(differences)
    logging.getLogger("unet").setLevel(logging.INFO)
    print("| network | activation | " + " | ".join(COLUMNS) + " |")
    print("|---|---|" + "---|" * len(COLUMNS))
    with tempfile.TemporaryDirectory() as folder:
        for name, network in NETWORKS.items():
            path = Path(folder) / "net.ckpt"
            spec = NetworkSpec.from_config(parse_options([*network, "--weight_init=he_uniform"], ""))
            checkpoint.save(build_network(spec), path, {"step": 1})
            for activate in ("Sigmoid",) if probabilities(spec) == "Sigmoid" else ("Softmax", "Argmax"):
                cells = []
                for column in COLUMNS.values():
                    if "unet_medical" in name and "--dynamic=True" in column:
                        cells.append("–")
                        continue
                    export(parse_options([*network, *column, f"--checkpoint_file_path={path}",
                                          f"--eval_activate={activate}", f"--file_name={folder}/net"], ""))
                    cells.append(f"{differences.last:.0e}")
                print(f"| {name} | {activate} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    main()
