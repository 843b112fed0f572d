"""Measure seconds per image of one network on a CPU: in MindSpore, in ONNX Runtime and in the C++ program.

``python benchmarks/infer_speed.py --config=FILE.yaml --checkpoint=FILE.ckpt --onnx=FILE.onnx --mindir=FILE.mindir``
takes the files of export.py (batch_size 1) and of scripts/onnx_to_mindir.sh; ascend310_infer/build.sh must have built
the program. All take turns, so that other load on the machine affects all of them alike. MindSpore runs with the
compiled operators, and once more in bfloat16 if the processor has units for it.
"""
import argparse
import functools
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def mindspore_network(config, checkpoint, precision):
    """Return a predictor as eval.py makes it, with this cpu_precision."""
    from src.inference.assemble import assemble_network
    from src.model_utils.runtime import start_runtime
    from src.networks.inference_network import predictor

    device = start_runtime(config).device
    return predictor(assemble_network(config.replace(cpu_precision=precision), device, checkpoint), "Softmax")


def timed(predict, images):
    """Return seconds per image, the mean over all images."""
    start = time.perf_counter()
    for image in images:
        predict(image)
    return (time.perf_counter() - start) / len(images)


def program(mindir, images):
    """Return seconds per image in the C++ program, the mean over all images, without reading and writing."""
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(images):
            image.tofile(Path(folder) / f"{number}.bin")
        command = [PROJECT / "ascend310_infer" / "build" / "unet_infer", f"--mindir_path={Path(mindir).resolve()}",
                   f"--dataset_path={folder}", f"--result_path={folder}/out"]
        text = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout
    return float(re.search(r"average time: ([\d.]+) ms", text)[1]) / 1000


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("config", "checkpoint", "onnx", "mindir"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=4, help="in each round")
    options = parser.parse_args()

    import numpy as np

    from src.export.onnx_model import OnnxNetwork
    from src.model_utils.config import parse_options
    from src.model_utils.errors import UNetError
    from src.model_utils.runtime import quiet_mindspore

    quiet_mindspore()
    onnx = OnnxNetwork(options.onnx)
    config = parse_options([f"--config_path={options.config}", "--device_target=CPU"], "")
    networks = {"MindSpore": mindspore_network(config, options.checkpoint, "float32")}
    try:
        networks["in bfloat16"] = mindspore_network(config, options.checkpoint, "bfloat16")
    except UNetError as error:
        print(error)
    networks["ONNX Runtime"] = onnx
    images = np.random.default_rng(0).uniform(-1, 1, (options.images, *onnx.input_shape)).astype(np.float32)
    for predict in networks.values():     # the first call compiles
        predict(images[0])
    runs = {name: functools.partial(timed, predict, images) for name, predict in networks.items()}
    runs["C++ program"] = lambda: program(options.mindir, images)
    seconds = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            seconds[name].append(run())
    print(f"input {onnx.input_shape}; seconds per image, over {options.rounds} rounds of {options.images} images")
    for name, values in seconds.items():
        print(f"{name:<14} best {min(values):.3f}   median {np.median(values):.3f}   worst {max(values):.3f}")


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    main()
