"""Measure seconds of a training step and peak memory on a CPU: this project, MindSpore's own kernels, PyTorch.

``python benchmarks/train_speed.py --rounds=7`` prints a Markdown table. Each path is a process of its own. They take
turns step by step, so that other load on the machine affects all of them alike. ``--torch`` names the
interpreter that has PyTorch (``benchmarks/requirements.txt``; default: this one). PyTorch runs with contiguous and with
channels-last tensors; the latter also compiled by ``torch.compile``, which needs a C++ compiler, and with the
convolutions in bfloat16 by ``torch.autocast``. A path that does not run here, such as bfloat16 on processors without
units for it, is left out, and a line below the table says why.
"""
import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
# case -> options, batch, (channels, height, width) of the image, side of the label
CASES = {
    "unet_simple 256x256, batch 4": (["--model_name=unet_simple"], 4, (1, 256, 256), 256),
    "unet_simple 256x256, batch 8": (["--model_name=unet_simple"], 8, (1, 256, 256), 256),
    "unet_medical 572x572, batch 2": (["--model_name=unet_medical"], 2, (1, 572, 572), 388),
    "unet_nested 96x96, batch 16": (["--model_name=unet_nested", "--num_channels=3", "--use_bn=False",
                                     "--use_ds=False"], 16, (3, 96, 96), 96),
}
# path -> what its step is made by: an option of the project, or the switches of ``torch_step`` that are on
PATHS = {
    "compiled operators": "--cpu_ops=on",
    "compiled, bfloat16": "--cpu_precision=bfloat16",
    "MindSpore's kernels": "--cpu_ops=off",
    "PyTorch": set(),
    "PyTorch channels-last": {"channels_last"},
    "PyTorch channels-last, torch.compile": {"channels_last", "compiled"},
    "PyTorch channels-last, bfloat16": {"channels_last", "bfloat16"},
    "PyTorch channels-last, torch.compile, bfloat16": {"channels_last", "compiled", "bfloat16"},
}
OWN = "compiled operators"
WARM_UP = 2


def random_batch(batch, image, side):
    """Return images and one-hot labels of two classes, float32."""
    import numpy as np

    rng = np.random.default_rng(0)
    classes = rng.random((batch, 1, side, side)) > 0.5
    return (rng.random((batch, *image), np.float32) * 2 - 1,
            np.concatenate([classes, ~classes], axis=1).astype(np.float32))


def mindspore_step(argv, batch, image, side, option):
    """Return a function that makes one training step as train.py does."""
    from mindspore import Tensor

    from src.cpu_ops import choose_backend
    from src.model_utils.config import parse_options
    from src.model_utils.runtime import quiet_mindspore, start_runtime
    from src.networks.dropout import DropoutKeys
    from src.networks.registry import NetworkSpec, build_network
    from src.training.losses import LossOptions, build_loss
    from src.training.run import build_train_network
    from src.training.step import compile_step

    quiet_mindspore()
    config = parse_options([*argv, "--device_target=CPU", option], "")
    start_runtime(config)
    network = build_network(NetworkSpec.from_config(config), choose_backend(config, "CPU"))
    loss = build_loss(LossOptions.from_config(config))
    train_network = build_train_network(config, network, loss, config.lr, "O0", DropoutKeys(network, config.seed))
    images, labels = map(Tensor, random_batch(batch, image, side))
    compile_step(train_network, images, labels)
    return lambda: float(train_network(images, labels).asnumpy())


def torch_step(argv, batch, image, side, switches):
    """Return a function that makes the same step in PyTorch; ``switches``: channels_last, compiled, bfloat16."""
    import torch
    from torch_networks import NestedUNet, UNet

    torch.manual_seed(0)
    name = argv[0].partition("=")[2]
    network = NestedUNet(image[0], 2) if name == "unet_nested" else UNet(image[0], 2, name == "unet_medical")
    images, labels = map(torch.from_numpy, random_batch(batch, image, side))
    if "channels_last" in switches:
        network = network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    run = torch.compile(network) if "compiled" in switches else network

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in switches):
            logits = run(images)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        return float(loss)
    return step


def work(path, case):
    """Make a step for each line of standard input and print its seconds; at the end print the peak memory in GB."""
    from src.model_utils.errors import UNetError
    from src.model_utils.memory import peak_memory_gb

    try:
        step = (torch_step if "PyTorch" in path else mindspore_step)(*CASES[case], PATHS[path])
    except UNetError as error:
        sys.exit(str(error))
    for _ in range(WARM_UP):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        step()
        print(time.perf_counter() - started, flush=True)
    print(peak_memory_gb())


class Worker:
    """A process that makes steps on request."""

    def __init__(self, python, path, case):
        self.errors = tempfile.TemporaryFile("w+")      # noqa: SIM115    closed with this worker
        self.process = subprocess.Popen([python, __file__, "--work", path, case], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        self.seconds = []
        self.works = any(line == "ready\n" for line in self.process.stdout)

    @property
    def reason(self):
        """The last line that the process wrote about its failure."""
        self.process.wait()
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {self.process.returncode}"

    def step(self):
        self.process.stdin.write("\n")
        self.seconds.append(float(self.process.stdout.readline()))

    def end(self):
        """End the process; return its peak memory in GB."""
        return float(self.process.communicate()[0])


def main():
    """Measure case by case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--cases", nargs="*", default=list(CASES), metavar="CASE")
    parser.add_argument("--work", nargs=2, metavar=("PATH", "CASE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work)
        return
    left_out = {}
    print("| case | path | median s | images/s | compiled operators are faster by | peak memory GB |")
    print("|---|---|---|---|---|---|")
    for case in options.cases:
        workers = {path: Worker(options.torch if "PyTorch" in path else sys.executable, path, case) for path in PATHS}
        left_out.update({path: worker.reason for path, worker in workers.items() if not worker.works})
        if OWN in left_out:
            sys.exit(f"{case}: no {OWN} to compare with: {left_out[OWN]}")
        workers = {path: worker for path, worker in workers.items() if worker.works}
        for _ in range(options.rounds):
            for worker in workers.values():
                worker.step()
        own = workers[OWN].seconds
        for path, worker in workers.items():
            median = statistics.median(worker.seconds)
            ratio = statistics.median(other / mine for other, mine in zip(worker.seconds, own))
            print(f"| {case} | {path} | {median:.2f} | {CASES[case][1] / median:.2f} | {ratio:.2f} | "
                  f"{worker.end():.2f} |", flush=True)
    for path, reason in left_out.items():
        print(f"\nLeft out: {path}: {reason}")


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    main()
