"""Measure what a run costs before and after its first step, for runs of very different lengths and for many images.

``python benchmarks/run_length.py`` trains unet_simple at 32x32, two images a step, for 200 steps of runs that would
have 1,000 to 10 million positions (samples from the start to the end of the run), and of two with 100,000 small images,
which it makes. Each run is a process of its own. Neither its time and memory up to the first step nor those of a step
should depend on its length.
"""
import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
STEPS = 200
SIDE = 32
OPTIONS = ["--model_name=unet_simple", f"--image_size=[{SIDE},{SIDE}]", "--batch_size=2", "--repeat=1",
           "--device_target=CPU", "--log_interval=0"]


def make_images(folder, count):
    """Write ``count`` gray images with a square each, and their masks."""
    import cv2
    import numpy as np

    for part in ("image", "label"):
        (folder / "train" / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        top, left = rng.integers(0, SIDE - 8, 2)
        mask[top:top + 8, left:left + 8] = 255
        image = mask // 4 + rng.integers(0, 190, (SIDE, SIDE), np.uint8)
        cv2.imwrite(str(folder / "train" / "image" / f"{number}.png"), image)
        cv2.imwrite(str(folder / "train" / "label" / f"{number}.png"), mask)


def used_mb():
    """Return the memory of this process in MB (10^6 bytes)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 1e6


def measure(argv):
    """Train in this process; print seconds, processor seconds and memory after the first and after the last step."""
    started, found = time.time(), []
    from src.model_utils.config import parse_options
    from src.model_utils.runtime import quiet_mindspore

    quiet_mindspore()
    from src.training.run import train

    def after_step():       # called before the first step too
        found.append((time.time() - started, time.process_time(), used_mb()))
        return len(found) > STEPS

    train(parse_options(argv, ""), after_step)
    print(json.dumps([found[1], found[-1]]))


def row(name, argv):
    """Measure a run in a new process; return a row of the table."""
    with tempfile.TemporaryDirectory() as output:
        result = subprocess.run([sys.executable, __file__, "--run", *OPTIONS, *argv, f"--output_path={output}"],
                                capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(result.stdout + result.stderr)
    (seconds, processor, memory), (last, last_processor, last_memory) = json.loads(result.stdout.splitlines()[-1])
    step, step_processor = (1000 * (end - start) / (STEPS - 1) for start, end in (
        (seconds, last), (processor, last_processor)))
    return (f"| {name} | {seconds:.1f} s | {processor:.1f} s | {memory:,.0f} MB | {step:.1f} ms | {step_processor:.1f} "
            f"ms | {last_memory - memory:+.1f} MB |")


def main():
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--positions", type=int, nargs="*", default=[1000, 100_000, 10_000_000],
                        help="lengths of runs over 8 images")
    parser.add_argument("--images", type=int, default=100_000, help="images of the last runs; 0 leaves these runs out")
    args = parser.parse_args()
    from src.data.synthetic import write_sample

    print("| run | to the first step | processor | memory | a step | processor | memory after 200 steps |\n"
          "|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        write_sample(data / "stacks", slices=10, size=64)       # 8 of them train
        for positions in args.positions:
            print(row(f"{positions:,} positions", [f"--data_path={data / 'stacks'}", f"--epochs={positions // 8}"]),
                  flush=True)
        if args.images:
            make_images(data / "images", args.images)
            argv = ["--dataset=membrane", f"--data_path={data / 'images'}", "--epochs=1"]
            print(row(f"{args.images:,} images, one pass", argv), flush=True)
            print(row(f"{args.images:,} images, class_weights auto, border_weight",
                      [*argv, "--class_weights=auto", "--border_weight=True"]), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    if sys.argv[1:2] == ["--run"]:
        measure(sys.argv[2:])
    else:
        main()
