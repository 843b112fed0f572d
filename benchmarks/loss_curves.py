"""Loss curves of train.py by the compiled operators against those by MindSpore's kernels, network by network.

``python benchmarks/loss_curves.py [--data_path=ISBI]`` trains each network for some 60 steps at its YAML file's
learning rate: with the compiled operators, with MindSpore's kernels at AVX2, and with them at SSE4.1. The last differs
from the second by rounding alone, so it says how much of a difference is the network's own sensitivity.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from src.model_utils.files import HISTORY_CSV  # noqa: E402
from src.model_utils.runtime import ISA_VARIABLE  # noqa: E402
from src.report.history import STEP, read_history  # noqa: E402

# YAML file -> options; 24 of the 30 slices train, so that 5 passes of 2 images are 60 steps.
RUNS = {
    "unet_simple_config.yaml": ["--image_size=[128,128]"],
    "unet_nested_config.yaml": ["--image_size=[96,96]"],
    "unet_bilinear_config.yaml": ["--image_size=[96,96]"],
    "unet_keras_config.yaml": ["--image_size=[96,96]"],
    "unet_medical_config.yaml": ["--image_size=[220,220]", "--crop=[36,36]"],
    "unet_quickstart_config.yaml": ["--train_crop=128"],
}
COMMON = ["--dataset=ISBI", "--num_channels=1", "--batch_size=2", "--epochs=5", "--repeat=5", "--run_eval=False",
          "--augmentation=default", "--device_target=CPU"]
# kernels -> cpu_ops and the instruction set that oneDNN may use at most
KERNELS = {"compiled": ("on", None), "AVX2": ("off", "AVX2"), "SSE4.1": ("off", "SSE41")}


def losses(config, data, kernels):
    """The loss of each step of a run."""
    cpu_ops, isa = KERNELS[kernels]
    environment = {name: value for name, value in os.environ.items() if name != ISA_VARIABLE}
    if isa:
        environment[ISA_VARIABLE] = isa
    with tempfile.TemporaryDirectory() as output:
        subprocess.run([sys.executable, PROJECT / "train.py", f"--config_path={PROJECT / config}", *COMMON,
                        *RUNS[config], f"--data_path={data}", f"--output_path={output}", f"--cpu_ops={cpu_ops}"],
                       env=environment, check=True, stdout=subprocess.DEVNULL)
        return [row.loss for row in read_history(Path(output) / HISTORY_CSV) if row.kind == STEP]


def difference(one, other):
    """The largest relative difference."""
    return max(abs(a - b) / abs(b) for a, b in zip(one, other, strict=True))


def main():
    """Train, compare and print a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", help="folder of two stacks of 30 slices; drawn ones unless given")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS), metavar="YAML", help=", ".join(RUNS))
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        data = options.data_path
        if not data:
            from src.data.synthetic import write_sample
            data = folder
            write_sample(Path(folder), slices=30, size=256)
        print("| | loss, first and last | compiled against MindSpore's | MindSpore's at SSE4.1 against AVX2 |")
        print("|---|---|---|---|")
        for config in options.runs:
            curves = {kernels: losses(config, data, kernels) for kernels in KERNELS}
            stock = curves["AVX2"]
            cells = [" ".join([config, *RUNS[config]]), f"{stock[0]:.3f}, {stock[-1]:.3f}",
                     *(f"{difference(curves[kernels], stock):.1e}" for kernels in ("compiled", "SSE4.1"))]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
