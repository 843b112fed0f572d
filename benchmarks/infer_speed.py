"""Measure seconds per image and peak memory of one network on a CPU, in all programs that run it here.

``python benchmarks/infer_speed.py --config=FILE.yaml --checkpoint=FILE.ckpt --onnx=FILE.onnx`` prints a Markdown table.
``--onnx`` is the file of export.py without options of sizes, ``--int8`` that of ``--quantize=int8``, and ``--mindir``
that of scripts/onnx_to_mindir.sh, whose size must be among ``--sizes``; the C++ program must have been built
(ascend310_infer/build.sh). Each program is a process of its own. They take turns, so that other load on the machine
affects all of them alike. What is not installed, or what the processor lacks, is left out, with a line that says so.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
# Program -> backend and cpu_precision; int8 files have their own.
PROGRAMS = {"MindSpore, compiled operators": ("mindspore", "float32"),
            "MindSpore, bfloat16": ("mindspore", "bfloat16"),
            "ONNX Runtime": ("onnx", "float32"), "ONNX Runtime, int8": ("onnx", "int8"),
            "OpenVINO": ("openvino", "float32"), "OpenVINO, bfloat16": ("openvino", "bfloat16"),
            "OpenVINO, int8": ("openvino", "int8")}
CPP = "C++ program"
WARM_UP = 2


def mindspore_predictor(options, precision):
    """Return a predictor as predict.py makes it."""
    from src.inference.assemble import assemble_network
    from src.model_utils.config import parse_options
    from src.model_utils.runtime import quiet_mindspore, start_runtime
    from src.networks.inference_network import predictor
    from src.networks.registry import NetworkSpec, probabilities
    from src.training.checkpoint_contents import CheckpointContents

    quiet_mindspore()
    config = parse_options([f"--config_path={options.config}", "--device_target=CPU", "--cpu_ops=on",
                            f"--cpu_precision={precision}"], "")
    network = assemble_network(config, start_runtime(config).device, CheckpointContents(options.checkpoint))
    return predictor(network, probabilities(NetworkSpec.from_config(config)))


def make_predictor(program, options):
    """Return a program's function of images, (1, C, H, W) float32."""
    from src.export.onnx_model import OnnxNetwork
    from src.export.onnx_sessions import SessionOptions

    backend, numbers = PROGRAMS[program]
    if backend == "mindspore":
        return mindspore_predictor(options, numbers)
    precision = "float32" if numbers == "int8" else numbers
    return OnnxNetwork(options.int8 if numbers == "int8" else options.onnx,
                       SessionOptions(backend, "CPU", precision))


def work(program, side, options):
    """Predict an image for each line of standard input and print the seconds; at the end print the peak memory."""
    from src.model_utils.errors import UNetError
    from src.model_utils.memory import peak_memory_gb

    image = random_image(options, side)
    try:
        predict = make_predictor(program, options)
        for _ in range(WARM_UP):
            predict(image)
    except UNetError as error:
        sys.exit(f"{program} is left out: {error}")
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        predict(image)
        print(time.perf_counter() - started, flush=True)
    print(peak_memory_gb())


def random_image(options, side):
    """Return an image of side x side pixels with the channels of the ONNX file."""
    import numpy as np

    from src.export.onnx_model import OnnxNetwork

    channels = OnnxNetwork(options.onnx).input_shape[1]
    return np.random.default_rng(0).uniform(-1, 1, (1, channels, side, side)).astype(np.float32)


class Worker:
    """A program that predicts images on request."""

    def __init__(self, program, side, arguments):
        self.process = subprocess.Popen([sys.executable, __file__, *arguments, "--work", program, str(side)], text=True,
                                        bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seconds = []
        self.works = any(line == "ready\n" for line in self.process.stdout)

    def predict(self):
        self.process.stdin.write("\n")
        self.seconds.append(float(self.process.stdout.readline()))

    def end(self):
        """End the process; return its peak memory in GB."""
        return float(self.process.communicate()[0].split()[-1])


class CppWorker:
    """The C++ program, which is started for each image; its seconds are those without reading and writing."""
    works = True

    def __init__(self, mindir, image):
        self.mindir, self.image, self.seconds, self.gigabytes = Path(mindir).resolve(), image, [], 0.0

    def predict(self):
        with tempfile.TemporaryDirectory() as folder:
            self.image.tofile(Path(folder) / "0.bin")
            with open(Path(folder) / "log", "w+", encoding="utf-8") as log:
                process = subprocess.Popen([PROJECT / "ascend310_infer" / "build" / "unet_infer",
                                            f"--mindir_path={self.mindir}", f"--dataset_path={folder}",
                                            f"--result_path={folder}/out"], stdout=log, cwd=folder)
                _, status, usage = os.wait4(process.pid, 0)
                log.seek(0)
                text = log.read()
        if status:
            sys.exit(f"{CPP}: status {status}")
        self.seconds.append(float(re.search(r"average time: ([\d.]+) ms", text)[1]) / 1000)
        self.gigabytes = max(self.gigabytes, usage.ru_maxrss * 1024 / 1e9)

    def end(self):
        return self.gigabytes


def measure(side, options, arguments):
    """Print the rows of the table for one size."""
    programs = [name for name, (_, numbers) in PROGRAMS.items() if numbers != "int8" or options.int8]
    workers = {name: Worker(name, side, arguments) for name in programs}
    if options.mindir and side == options.mindir_side:
        workers[CPP] = CppWorker(options.mindir, random_image(options, side))
    workers = {name: worker for name, worker in workers.items() if worker.works}
    for _ in range(options.rounds):
        for worker in workers.values():
            worker.predict()
    reference = workers["ONNX Runtime"].seconds
    for name, worker in workers.items():
        ratio = statistics.median(one / own for one, own in zip(reference, worker.seconds))
        print(f"| {side}x{side} | {name} | {min(worker.seconds):.3f} | {statistics.median(worker.seconds):.3f} | "
              f"{ratio:.2f} | {1000 * worker.end():.0f} |", flush=True)


def main():
    """Measure size by size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("config", "checkpoint", "onnx"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("int8", "mindir"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--mindir_side", type=int, default=512, help="side of the images that the MINDIR file takes")
    parser.add_argument("--sizes", type=int, nargs="*", default=[512, 1024], metavar="SIDE")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", nargs=2, metavar=("PROGRAM", "SIDE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work[0], int(options.work[1]), options)
        return
    print("| image | program | best s | median s | times as fast as ONNX Runtime | peak memory MB |")
    print("|---|---|---|---|---|---|")
    for side in options.sizes:
        measure(side, options, sys.argv[1:])


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    main()
