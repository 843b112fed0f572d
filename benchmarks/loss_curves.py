"""Compare loss curves with the compiled operators and with MindSpore's kernels, network by network.

``python benchmarks/loss_curves.py [--data_path=ISBI]`` runs train.py for some 60 steps at the learning rate of each
network's YAML file. ``python benchmarks/loss_curves.py --descent=50`` makes 50 steps of plain gradient descent from
the same weights on one batch. Each runs with the compiled operators, with MindSpore's kernels at AVX2, and with
them at SSE4.1. The last differs from the second by rounding only, so it says how much of a difference is the network's
own sensitivity.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
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
# network -> images a step, channels and side of an image. unet_medical has labels of 36x36: on the 4x4 of its smallest
# image, training magnifies rounding a hundred times more.
DESCENTS = {"unet_simple": (2, 1, 64), "unet_nested": (2, 3, 48), "unet_medical": (1, 1, 220),
            "unet_bilinear": (2, 3, 64), "unet_keras": (2, 1, 64)}


def start(kernels, *argv):
    """Run a script of the project with these kernels; return what it prints."""
    from src.model_utils.runtime import ISA_VARIABLE

    environment = {name: value for name, value in os.environ.items() if name != ISA_VARIABLE}
    if isa := KERNELS[kernels][1]:
        environment[ISA_VARIABLE] = isa
    return subprocess.run([sys.executable, *map(str, argv)], env=environment, check=True, stdout=subprocess.PIPE,
                          text=True).stdout


def losses(config, data, kernels):
    """Return the loss of each step of a run of train.py."""
    from src.model_utils.files import HISTORY_CSV
    from src.report.history import STEP, read_history

    with tempfile.TemporaryDirectory() as output:
        start(kernels, PROJECT / "train.py", f"--config_path={config}", *COMMON, *RUNS[config],
              f"--data_path={data}", f"--output_path={output}", f"--cpu_ops={KERNELS[kernels][0]}")
        return [row.loss for row in read_history(Path(output) / HISTORY_CSV) if row.kind == STEP]


def descend(kernels, steps, mode="graph"):
    """Return network -> {"losses": [...], "logits": [...]}: losses of gradient descent, and the logits after it.

    It runs in a process of its own, because the cap that MindSpore's kernels need slows the compiled operators.
    """
    return json.loads(start(kernels, __file__, f"--descent={steps}", f"--kernels={kernels}",
                            f"--mode={mode}").splitlines()[-1])


def descend_here(kernels, steps, mode):
    """Compute in this process what ``descend`` returns."""
    import mindspore as ms

    from src.cpu_ops import choose_backend
    from src.model_utils.config import parse_options
    from src.networks import unet_bilinear, unet_keras

    unet_keras.DROPOUT = 0.0      # what it drops depends on the layout inside
    for module in (unet_bilinear, unet_keras):
        module.CHANNELS = tuple(channels // 4 for channels in module.CHANNELS)
    ms.set_device("CPU")
    ms.set_context(mode=ms.GRAPH_MODE if mode == "graph" else ms.PYNATIVE_MODE)
    layers = choose_backend(parse_options([f"--cpu_ops={KERNELS[kernels][0]}"], ""), "CPU")
    return {name: descent(name, layers, steps) for name in DESCENTS}


def descent(name, layers, steps):
    """Return the losses and logits of one network."""
    import numpy as np
    from mindspore import Tensor, nn

    from src.training.losses import CrossEntropyWithLogits, MultiCrossEntropyWithLogits

    batch, channels, size = DESCENTS[name]
    net = small_network(name, channels, layers)
    rng = np.random.default_rng(0)
    for parameter in net.get_parameters():
        if parameter.ndim == 4:
            scale = (2 / np.prod(parameter.shape[1:])) ** 0.5
            parameter.set_data(Tensor((rng.normal(size=parameter.shape) * scale).astype(np.float32)))
    out = net.output_size(size)
    images = Tensor(rng.normal(size=(batch, channels, size, size)).astype(np.float32))
    classes = rng.random((batch, 1, out, out)) > 0.5
    labels = Tensor(np.concatenate([classes, ~classes], axis=1).astype(np.float32))
    loss = MultiCrossEntropyWithLogits() if name == "unet_nested" else CrossEntropyWithLogits()
    step = nn.TrainOneStepCell(nn.WithLossCell(net, loss), nn.SGD(net.trainable_params(), 0.001))
    step.set_train()
    curve = [float(step(images, labels).asnumpy()) for _ in range(steps)]
    net.set_train(False)
    return {"losses": curve, "logits": net(images).asnumpy().ravel().tolist()}


def small_network(name, channels, layers):
    """Build a network; unet_simple and unet_nested have half of their channels."""
    from src.networks import unet_bilinear, unet_keras
    from src.networks.unet_medical import UNetMedical
    from src.networks.unet_nested import NestedUNet
    from src.networks.unet_simple import UNet

    return {
        "unet_simple": lambda: UNet(channels, 2, feature_scale=4, layers=layers),
        "unet_nested": lambda: NestedUNet(channels, 2, feature_scale=4, layers=layers),
        "unet_medical": lambda: UNetMedical(channels, 2, layers=layers),
        "unet_bilinear": lambda: unet_bilinear.UNetBilinear(channels, layers=layers),
        "unet_keras": lambda: unet_keras.UNetKeras(channels, layers=layers),
    }[name]()


def difference(one, other):
    """Return the largest relative difference."""
    return max(abs(a - b) / abs(b) for a, b in zip(one, other, strict=True))


def print_row(name, curves):
    """Print a row of the table. ``curves``: kernels -> losses."""
    stock = curves["AVX2"]
    cells = [name, f"{stock[0]:.3f}, {stock[-1]:.3f}",
             *(f"{difference(curves[kernels], stock):.1e}" for kernels in ("compiled", "SSE4.1"))]
    print(f"| {' | '.join(cells)} |", flush=True)


def main():
    """Train, compare and print a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", help="folder of two stacks of 30 slices; default: synthetic ones")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS), metavar="YAML", help=", ".join(RUNS))
    parser.add_argument("--descent", type=int, metavar="STEPS", help="gradient descent instead of runs of train.py")
    parser.add_argument("--kernels", choices=KERNELS, help="one descent in this process, printed as JSON")
    parser.add_argument("--mode", choices=("graph", "pynative"), default="graph", help="of that descent")
    options = parser.parse_args()
    if options.kernels:
        print(json.dumps(descend_here(options.kernels, options.descent, options.mode)))
        return

    print("| | loss, first and last | compiled against MindSpore's | MindSpore's at SSE4.1 against AVX2 |")
    print("|---|---|---|---|")
    if options.descent:
        curves = {kernels: descend(kernels, options.descent) for kernels in KERNELS}
        for name in DESCENTS:
            print_row(name, {kernels: curves[kernels][name]["losses"] for kernels in KERNELS})
        return
    with tempfile.TemporaryDirectory() as folder:
        data = options.data_path
        if not data:
            from src.data.synthetic import write_sample
            data = folder
            write_sample(Path(folder), slices=30, size=256)
        for config in options.runs:
            curves = {kernels: losses(config, data, kernels) for kernels in KERNELS}
            print_row(" ".join([config, *RUNS[config]]), curves)


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    main()
