"""Kill training runs at random moments, resume them, and compare them with a run that was never stopped.

``python benchmarks/kill_test.py --moments=20`` trains each network without a stop. Then, for each moment, it trains one
of them again, kills the run with SIGKILL after a random time, and resumes it with ``--resume_ckpt=auto``. All
parameters, including those of Adam, must be the same bit for bit. ``--ranks=2`` does the same with two processes under
msrun.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
# name -> options of the run. Each run has augmentation and several checkpoints.
STACKS = ["--image_size=[96,96]", "--train_crop=32", "--repeat=10", "--epochs=10", "--lr_schedule=cosine",
          "--augment_elastic=True", "--augment_rot90=True", "--run_eval=True", "--eval_steps=15"]
FOLDERS = ["--dataset=folders", "--num_channels=3", "--image_size=[48,32]", "--repeat=2", "--epochs=10"]
RUNS = {
    "unet_simple, stacks, cosine rate, one long epoch": ["--model_name=unet_simple", *STACKS],
    "unet_keras, stacks, dropout": ["--model_name=unet_keras", *STACKS, "--eval_activate=Sigmoid"],
    "unet_nested, folders, constant rate, five epochs, mixed precision": [
        "--model_name=unet_nested", *FOLDERS, "--amp_level=O2"],
    "unet_bilinear, folders, MindSpore's kernels": [
        "--model_name=unet_bilinear", *FOLDERS, "--cpu_ops=off", "--augmentation=case_study"],
    "unet_medical, stacks": ["--model_name=unet_medical", "--image_size=[188,188]", "--crop=[4,4]", "--repeat=2",
                             "--epochs=4"],
}
COMMON = ["--batch_size=2", "--weight_init=he_normal", "--lr=0.001", "--save_checkpoint_steps=3",
          "--keep_checkpoint_max=3", "--device_target=CPU"]


def make_data(folder):
    """Write small stacks and small image folders."""
    import numpy as np
    from PIL import Image

    from src.data.synthetic import make_stacks, write_sample

    write_sample(folder / "stacks", slices=10, size=96)
    images, labels = make_stacks(slices=10, size=64)
    for number, (image, label) in enumerate(zip(images, labels)):
        sample = folder / "folders" / f"{number}"
        sample.mkdir(parents=True)
        Image.fromarray(np.stack([image] * 3, axis=-1)).save(sample / "image.png")
        Image.fromarray(label).save(sample / "mask.png")


def command(options, data, output, ranks, *more):
    """Return the command of a run on one or more ranks."""
    layout = "folders" if "--dataset=folders" in options else "stacks"
    arguments = [str(PROJECT / "train.py"), *COMMON, *options, f"--data_path={data / layout}",
                 f"--output_path={output}", *more]
    if ranks == 1:
        return [sys.executable, *arguments]
    return ["msrun", f"--worker_num={ranks}", f"--local_worker_num={ranks}", "--join=True",
            f"--master_port={random.randint(20000, 30000)}", f"--log_dir={output}-logs", *arguments,
            "--run_distribute=True", "--batch_size=1", "--distribute_epochs=10"]


def descendants(pid):
    """Return the ids of all processes that ``pid`` has started, directly or not."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        found += [int(child), *descendants(int(child))]
    return found


def run(argv, kill_after=None):
    """Run a command to its end, or kill it with its processes after some seconds. Return (status, seconds, output)."""
    started = time.monotonic()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=PROJECT,
                               env=environment, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=kill_after)
        return process.returncode, time.monotonic() - started, output
    except subprocess.TimeoutExpired:
        for pid in [process.pid, *descendants(process.pid)]:     # msrun's workers are not in its process group
            os.kill(pid, signal.SIGKILL)
        output, _ = process.communicate()
        return process.returncode, time.monotonic() - started, output


def parameters(output):
    """Return name -> bytes of the parameters in the last checkpoint of a run."""
    import mindspore as ms

    last = max((output / "checkpoint" / "ckpt_0").glob("ckpt_*.ckpt"), key=lambda path: path.stat().st_mtime_ns)
    return {name: value.asnumpy().tobytes() for name, value in ms.load_checkpoint(str(last)).items()
            if not isinstance(value, str)}


def main():
    """Kill and resume at all moments; return the number of runs that differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--moments", type=int, default=20, help="number of runs to kill")
    parser.add_argument("--ranks", type=int, default=1, help="number of processes in a run")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    args = parser.parse_args()
    moments = random.Random(args.seed)
    folder = Path(tempfile.mkdtemp(prefix="kill_test_"))
    make_data(folder)
    whole, seconds = {}, {}
    for name, options in RUNS.items():
        output = folder / "whole"
        status, seconds[name], log = run(command(options, folder, output, args.ranks))
        if status:
            sys.exit(f"{name}: the run without a stop failed:\n{log[-2000:]}")
        whole[name] = parameters(output)
        shutil.rmtree(output)
        print(f"{name}: {seconds[name]:.1f} s without a stop", flush=True)
    differing = 0
    for number in range(args.moments):
        name = list(RUNS)[number % len(RUNS)]
        output, moment = folder / f"run{number}", moments.uniform(0, seconds[name])
        run(command(RUNS[name], folder, output, args.ranks), kill_after=moment)
        kept = sorted(path.name for path in (output / "checkpoint" / "ckpt_0").glob("*.ckpt"))
        status, _, log = run(command(RUNS[name], folder, output, args.ranks, "--resume=True", "--resume_ckpt=auto"))
        same = status == 0 and parameters(output) == whole[name]
        differing += not same
        print(f"{number + 1:3d}. {name}: killed after {moment:5.1f} s with {len(kept)} checkpoints, resumed: "
              f"{'bit-identical' if same else f'DIFFERENT (status {status})'}", flush=True)
        if status:
            print(log[-1500:])
        shutil.rmtree(output, ignore_errors=True)
    print(f"{args.moments - differing} of {args.moments} bit-identical")
    shutil.rmtree(folder)
    return differing


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    sys.exit(main())
