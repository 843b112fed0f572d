"""Train this project and others on the same images for the same minutes, and score all of them alike.

``python benchmarks/peers.py --isbi=ISBI --nuclei=NUCLEI --minutes=20`` prints a Markdown table. On the ISBI stacks
(fold 1, held-out slices): this project; a U-Net in PyTorch with channels-last tensors, by the same recipe; nnU-Net v2
in two dimensions. On the nuclei (the first 80 % of the names train): this project and StarDist. ``src.evaluation``
scores them.

Each peer runs in an environment of its own, ENVIRONMENTS/NAME. One that is not there is made, and filled by pip, whose
environment variables say from where (PIP_EXTRA_INDEX_URL for PyTorch's build for CPUs). A peer that cannot be installed
or fails is left out, and a line below the table says why.

The minutes are those of training on the clock, without installing, loading, preprocessing and prediction. For this
project the number of steps follows from a short run before, since its learning rate falls with the steps. nnU-Net
predicts with mirroring, which is its default; the others predict once, without test-time augmentation.
"""
import argparse
import json
import shlex
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
OWN = "UNet for MindSpore"
# What src.data needs, for the peer that takes this project's samples.
OF_SAMPLES = ("numpy", "opencv-python-headless", "tifffile", "imagecodecs", "pillow", "pyyaml", "scipy", "scikit-image")
# environment -> what pip installs there. Of TensorFlow, the last version with the Keras 2 that StarDist is made for.
PACKAGES = {"torch": ["torch>=2.13,<2.14"], "nnunet": ["torch>=2.13,<2.14", "nnunetv2==2.8.1"],
            "stardist": ["tensorflow-cpu<2.16", "stardist==0.9.2", "numpy<2"]}
# task -> peer -> its environment; the script is peer_ENVIRONMENT.py
PEERS = {"isbi": {"PyTorch U-Net, channels-last": "torch", "nnU-Net v2, 2D": "nnunet"},
         "nuclei": {"StarDist": "stardist"}}
CONFIGS = {"isbi": "unet_simple_cpu_config.yaml", "nuclei": "unet_nuclei_config.yaml"}
METRICS = {"isbi": "--isbi_metrics=True", "nuclei": "--object_metrics=True"}
# Of eval.py. StarDist fits its thresholds on training images too.
EVALUATION = {"isbi": [], "nuclei": ["--fit_objects=True"]}
TRIAL_STEPS = 24        # of the short run; the first third of them is left out


def empty(folder):
    """Return the folder, made anew: an earlier run may have had other images."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


class LeftOut(Exception):
    """A peer cannot be installed, or fails; the message says why."""


def run(command, log, what):
    """Run a command, append its output to ``log``; raise LeftOut with its last line if it fails."""
    with log.open("a") as file:
        status = subprocess.run([str(part) for part in command], stdout=file, stderr=subprocess.STDOUT, cwd=PROJECT,
                                check=False).returncode
    if status:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise LeftOut(f"{what} ended with status {status} ({lines[-1].strip()[:200] if lines else ''}); see {log}")


def interpreter(name, environments, log):
    """Return the Python of an environment, which is made if it is not there."""
    python, installed = environments / name / "bin" / "python", environments / name / "installed.txt"
    needed = list(PACKAGES[name])
    if name == "torch":
        bounds = (PROJECT / "requirements.txt").read_text().splitlines()
        needed += [line for line in bounds if line.split(">")[0] in OF_SAMPLES]
    if not installed.exists() or installed.read_text().splitlines() != needed:
        run([sys.executable, "-m", "venv", "--clear", environments / name], log, "venv")
        run([python, "-m", "pip", "install", "--quiet", *needed], log, "pip")
        installed.write_text("\n".join(needed))
    return python


class Task:
    """One data set with its options, and what the peers need of it.

    Args:
        name (str): isbi or nuclei.
        data (Path): folder of the data set.
        output (Path): folder of everything that is written.
        options (list[str]): options of this project besides those of the YAML file.
    """

    def __init__(self, name, data, output, options):
        from src.data.samples import create_samples
        from src.model_utils.config import parse_options

        self.name, self.folder = name, output / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.argv = [f"--config_path={CONFIGS[name]}", f"--data_path={data.resolve()}", METRICS[name], *options]
        self.config = parse_options(self.argv, "")
        self.training, self.validation = create_samples(self.config)

    def write_images(self):
        """Write what peers read: train/NUMBER.npz (image and label), validation/NUMBER.npy (image), options.json.

        Images are (H, W) or (H, W, 3), as the options normalize them; labels (H, W) are the numbers of objects, for
        ISBI the classes.
        """
        import numpy as np

        def image(samples, index):
            pixels = samples.reader[samples.indices[index]][0]
            return np.ascontiguousarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels[..., ::-1])

        training = self.training.as_validation()
        for part in ("train", "validation"):
            empty(self.folder / part)
        for index in range(len(training)):
            label = training.own_classes(index) if self.name == "isbi" else training.own_objects(index)
            np.savez(self.folder / "train" / f"{index:04}.npz", image=image(training, index), label=label)
        for index in range(len(self.validation)):
            np.save(self.folder / "validation" / f"{index:04}.npy", image(self.validation, index))
        (self.folder / "options.json").write_text(json.dumps(self.argv))

    # ---- training

    def train_own(self, minutes, log):
        """Train this project for some minutes and evaluate it; return the number of steps and the scores."""
        from src.report.history import STEP, read_history

        def train(passes, name, *more):
            folder = self.folder / name
            run([sys.executable, "train.py", *self.argv, f"--output_path={folder}", f"--epochs={passes}",
                 f"--repeat={passes}", "--total_steps=0", "--run_eval=False", "--overwrite=True", "--log_interval=0",
                 *more], log, "train.py")
            return folder, [row for row in read_history(folder / "history.csv") if row.kind == STEP]

        of_a_pass, batch = len(self.training), self.config.batch_size * self.config.accumulate_steps
        _, steps = train(max(1, round(TRIAL_STEPS * batch / of_a_pass)), "trial", "--warmup_steps=0")
        seconds = statistics.mean(row.seconds for row in steps[len(steps) // 3:])       # waits for data count too
        folder, steps = train(max(1, int(60 * minutes / seconds * batch / of_a_pass)), "own")
        (checkpoint,) = folder.glob("checkpoint/ckpt_0/ckpt_*.ckpt")
        run([sys.executable, "eval.py", *self.argv, *EVALUATION[self.name], f"--output_path={folder}",
             f"--checkpoint_file_path={checkpoint}"], log, "eval.py")
        taken = sum(row.seconds for row in steps) / 60
        return len(steps), taken, json.loads((folder / "metrics.json").read_text())

    def train_peer(self, environment, environments, minutes, log):
        """Train a peer, which writes its predictions; return the number of steps, the minutes and the scores."""
        python = interpreter(environment, environments, log)
        folder = empty(self.folder / environment)
        run([python, HERE / f"peer_{environment}.py", self.folder, folder, minutes], log, f"peer_{environment}.py")
        made = json.loads((folder / "made.json").read_text())
        return made["steps"], made["minutes"], (self.score_objects if self.name == "nuclei" else self.score)(folder)

    # ---- scores

    def score(self, folder):
        """Score NUMBER.npy, (H, W) probabilities of class 1; return what metrics.json holds."""
        import numpy as np

        from src.report.evaluation import evaluate_and_report

        files = iter(sorted(folder.glob("*.npy")))

        def predict(_):
            probability = np.load(next(files))
            return np.stack([1 - probability, probability], axis=-1)[None]

        config = self.config.replace(output_path=str(folder))
        return evaluate_and_report(predict, self.validation, config, folder, "peers.py", "CPU").as_dict()

    def score_objects(self, folder):
        """Score NUMBER.npy, (H, W) numbers of objects."""
        import numpy as np

        from src.evaluation.object_metrics import overlaps
        from src.evaluation.object_scores import ObjectScores

        scores = ObjectScores()
        for index, path in enumerate(sorted(folder.glob("*.npy"))):
            scores.add(self.validation.name(index), overlaps(self.validation.own_objects(index), np.load(path)))
        return {"objects": scores.as_dict()}


def cells(task, scores):
    """Return the scores of a row of the table."""
    if task == "isbi":
        board = scores["isbi_board"]
        values = scores["soft"]["dice_coeff"], board["V_rand"]["value"], board["V_info"]["value"]
    else:
        mean = scores["objects"]["mean"]
        values = mean["0.5"]["f1"], mean["0.5"]["accuracy"], mean["0.5"]["panoptic_quality"], mean["mean_accuracy"]
    return [f"{value:.4f}" for value in values]


HEADS = {"isbi": "soft Dice | V_rand | V_info",
         "nuclei": "F1 at 0.5 | accuracy at 0.5 | panoptic quality | mean accuracy 0.5 to 0.95"}


def compare(task, chosen, environments, minutes):
    """Train and score the peers of a task one after the other, and print the table."""
    left_out = {}
    print(f"\n| {task.name}, {minutes:g} minutes | steps | minutes of training | {HEADS[task.name]} |")
    print("|---" * (3 + HEADS[task.name].count("|") + 1) + "|", flush=True)
    for name, environment in {OWN: "own", **PEERS[task.name]}.items():
        if chosen and environment not in chosen:
            continue
        log = task.folder / f"{environment}.log"
        log.unlink(missing_ok=True)
        try:
            steps, taken, scores = (task.train_own(minutes, log) if environment == "own" else
                                    task.train_peer(environment, environments, minutes, log))
            print(f"| {name} | {steps} | {taken:.1f} | {' | '.join(cells(task.name, scores))} |", flush=True)
        except LeftOut as reason:
            left_out[name] = reason
    for name, reason in left_out.items():
        print(f"\nLeft out: {name}: {reason}")


def main():
    """Compare on the data sets that are given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isbi", type=Path, help="folder of train-volume.tif and train-labels.tif")
    parser.add_argument("--nuclei", type=Path, help="folder of the nuclei, as preprocess_dataset.py writes it")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--peers", nargs="*", choices=["own", *PACKAGES], help="only these")
    parser.add_argument("--isbi_options", type=shlex.split, default=[], help="options of the recipe, in one argument")
    parser.add_argument("--nuclei_options", type=shlex.split, default=[], help="the same for the nuclei")
    parser.add_argument("--environments", type=Path, default=PROJECT / "output" / "peers" / "environments")
    parser.add_argument("--output", type=Path, default=PROJECT / "output" / "peers")
    given = parser.parse_args()
    for name in PEERS:
        if data := getattr(given, name):
            task = Task(name, data, given.output.resolve(), getattr(given, f"{name}_options"))
            task.write_images()
            compare(task, given.peers, given.environments.resolve(), given.minutes)


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    main()
