"""Runs of the scripts in which one call to the disk fails, and what they leave behind.

The scripts run from a copy of the project whose unet_simple is shallow, as a checkpoint is written with a call for each
parameter, and whose curves are not drawn. ``io_faults.c`` lets the call fail.
"""
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile

from src.data.synthetic import write_sample
from src.export.runtime_files import WRITTEN
from src.inference import records
from tests.support.contents import assert_same, contents, files, is_part
from tests.support.data import write_pairs
from tests.support.light import FIGURES
from tests.support.scripts import PROJECT, SCRIPT_ENVIRONMENT, call

ERRORS = (errno.ENOSPC, errno.EIO)
KINDS = ("open", "write", "sync", "rename", "mkdir")
PICTURES = (".png", ".jpg", "report.html")
SECONDS = 1200          # after which a run hangs
# What the server loads, with all that these modules import.
MODULES = ("mindspore", "src.training.run", "src.report.page", "src.report.figures", "src.inference.predict",
           "src.export.export", "src.export.runtime_files", "src.data.preparation.prepare",
           "src.training.cross_validation", "tensorboardX")

NETWORK = ("--model_name=unet_simple", "--device_target=CPU", "--cpu_ops=off")
TRAINING = (*NETWORK, "--data_path={data}/pairs", "--output_path=out", "--dataset=folders", "--num_channels=3",
            "--image_size=[16,16]", "--batch_size=3", "--repeat=2", "--context_mode=pynative",
            "--save_checkpoint_steps=1", "--run_eval=True")
RUN = (*TRAINING, "--tensorboard=True", "--show_eval=True")
EXPORT = (*NETWORK, "--file_name=out/network", "--width=16", "--height=16")


@dataclass(frozen=True)
class Command:
    """A command that writes into the folder ``out``.

    Attributes:
        script: the script.
        arguments: its arguments; {data} stands for the folder of the inputs.
        before: what the arguments of an earlier run had more, whose files are there; None for no earlier run.
        cwd: the folder in which it runs, beside or in ``out``.
        resumes: what is finished is not done again, so a picture that a run went on without stays as it is.
    """
    script: str
    arguments: tuple[str, ...]
    before: tuple[str, ...] | None = ()
    cwd: str = "."
    resumes: bool = False


COMMANDS = {
    "train.py, in place of another run": Command("train.py", (*RUN, "--epochs=2", "--overwrite=True"), ("--seed=2",)),
    "train.py, resumed": Command(
        "train.py", (*RUN, "--epochs=4", "--resume=True", "--resume_ckpt=auto"), ("--epochs=2", "--resume=False"),
        resumes=True),
    "predict.py": Command(
        "predict.py", (*NETWORK, "--data_path={data}/images", "--output_path=out", "--save_probability=True",
                       "--overlay=True", "--isbi_submission=True", "--checkpoint_file_path={data}/new.ckpt"),
        ("--checkpoint_file_path={data}/old.ckpt",)),
    **{f"export.py, {kind}": Command(
        "export.py", (*EXPORT, f"--file_format={kind}", "--checkpoint_file_path={data}/new.ckpt"),
        ("--checkpoint_file_path={data}/old.ckpt",)) for kind in ("MINDIR", "ONNX")},
    "preprocess_dataset.py": Command(
        "preprocess_dataset.py", ("--dataset=Cell_nuclei", "--data_path={data}/nuclei", "--save_path=out"),
        ("--data_path={data}/old_nuclei",)),
    "train_folds.py": Command("train_folds.py", (*TRAINING, "--epochs=2", "--folds=2", "--backend=mindspore"), None,
                              resumes=True),
    "preprocess.py": Command(
        "preprocess.py", ("--data_path={data}/stacks", "--image_size=[16,16]", "--result_path=inputs"),
        ("--image_size=[20,20]",), cwd="out"),
}


class Place:
    """A folder with a copy of the project, inputs for all commands, and a server that runs them there.

    Args:
        folder (Path): an empty folder.
    """

    def __init__(self, folder):
        self.folder, self.project, self.data = folder, folder / "project", folder / "data"
        self.library = build_library(folder)
        self._copy_project()
        self._make_inputs()

    def _copy_project(self):
        for name in ("src", "configs"):
            shutil.copytree(PROJECT / name, self.project / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in [*PROJECT.glob("*.py"), *PROJECT.glob("*.yaml")]:
            shutil.copy(path, self.project)
        networks, report = self.project / "src" / "networks", self.project / "src" / "report"
        shutil.copy(PROJECT / "tests" / "support" / "shallow_network.py", networks)
        with (networks / "unet_simple.py").open("a") as file:
            file.write("\nimport dataclasses\nfrom src.networks import registry, shallow_network\n"
                       "registry._ENTRIES['unet_simple'] = dataclasses.replace(\n"
                       "    registry._ENTRIES['unet_simple'], network_class=shallow_network.ShallowUNet)\n")
        # Drawing would take half of a run; what is not drawn is written all the same.
        (report / "figures.py").write_text("".join(
            f"def {name}(*_):\n    return {drawn!r}\n" for name, drawn in (FIGURES | {"progress_png": b"-"}).items()))

    def _make_inputs(self):
        write_pairs(self.data / "pairs", list("abcd"), size=(24, 24))
        write_sample(self.data / "stacks", slices=10, size=64)
        rng = np.random.default_rng(3)
        (self.data / "images").mkdir()
        tifffile.imwrite(self.data / "images" / "stack.tif", rng.integers(0, 256, (2, 40, 50), dtype=np.uint8),
                         photometric="minisblack")
        cv2.imwrite(str(self.data / "images" / "one.png"), rng.integers(0, 256, (30, 20), dtype=np.uint8))
        for name in ("nuclei/a", "nuclei/b", "nuclei/c", "old_nuclei/a"):
            place = self.data / name
            for part, count in (("images", 1), ("masks", 2)):
                (place / part).mkdir(parents=True)
                for number in range(count):
                    mask = np.zeros((20, 24), np.uint8)
                    mask[4 + 8 * number:8 + 8 * number, 5:9] = 255
                    cv2.imwrite(str(place / part / f"{number or place.name}.png"), mask)
        save = ("import sys; sys.path.append(sys.argv[1]); from tests.support.networks import network_of\n"
                "from src.training import checkpoint\n"
                "for name in ('old', 'new'):\n"
                "    checkpoint.save(network_of(['--model_name=unet_simple', '--weight_init=he_uniform']),\n"
                "                    sys.argv[2] + f'/{name}.ckpt', {'step': 1, 'scale': 1.0})")
        made = call(sys.executable, "-c", save, PROJECT, self.data, cwd=self.project, PYTHONPATH=str(self.project))
        assert made.returncode == 0, made.stderr


def compiler():
    """The C compiler, or None."""
    return shutil.which("cc") or shutil.which("gcc")


def build_library(folder):
    """Compile io_faults.c; return the library."""
    library = folder / "io_faults.so"
    subprocess.run([compiler(), "-shared", "-fPIC", "-o", library, Path(__file__).with_suffix(".c"), "-ldl"],
                   check=True)
    return library


class Runner:
    """Runs commands in a folder of its own, with a fault or without.

    Args:
        place (Place): what they run on.
        name (str): of the folder.
    """

    def __init__(self, place, name):
        self.place, self.folder = place, place.folder / name
        self.out = self.folder / "out"
        self.folder.mkdir()
        environment = {**SCRIPT_ENVIRONMENT, "LD_PRELOAD": str(place.library), "ONEDNN_MAX_CPU_ISA": "AVX2",
                       "XDG_CACHE_HOME": str(place.folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        self.server = subprocess.Popen([sys.executable, Path(__file__).with_name("fork_server.py"), place.project,
                                        *MODULES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                       env=environment)
        assert self.server.stdout.readline() == "ready\n"

    def close(self):
        """End the server."""
        self.server.communicate()

    def run(self, command, more=(), number=0, error=0):
        """Run a command; call ``number`` fails with ``error``. Return its status, and its output and errors as text."""
        counter, log, *texts = (self.folder / name for name in ("counter", "log", "stdout", "stderr"))
        counter.write_bytes(bytes(8))
        log.write_text("")
        arguments = [text.format(data=self.place.data) for text in (*command.arguments, *more)]
        self.server.stdin.write(json.dumps({
            "script": str(self.place.project / command.script), "arguments": arguments, "seconds": SECONDS,
            "cwd": str(self.folder / command.cwd), "stdout": str(texts[0]), "stderr": str(texts[1]),
            "environment": {"FAULT_FOLDER": str(self.out), "FAULT_COUNTER": str(counter), "FAULT_LOG": str(log),
                            "FAULT_CALL": str(number), "FAULT_ERRNO": str(error)}}) + "\n")
        self.server.stdin.flush()
        return self.server.stdout.readline().strip(), *(text.read_text() for text in texts)

    def calls(self):
        """(kind, path in ``out``) of each counted call of the last run."""
        lines = [line.split(" ", 2) for line in (self.folder / "log").read_text().splitlines()]
        return [(kind, os.path.relpath(path, self.out)) for _, kind, path in sorted(lines, key=lambda one: int(one[0]))]


class Experiment:
    """All faults of one command.

    Args:
        runner (Runner): runs it.
        command (Command): the command.

    Attributes:
        calls (list): (kind, path) of each call of the run without a fault.
        failed (tuple): (kind, path) of the call that failed; where processes work side by side, another one than that
            of this number in ``calls``.
    """

    def __init__(self, runner, command):
        self.runner, self.command = runner, command
        self.before = runner.folder / "before"
        shutil.rmtree(self.before, ignore_errors=True)
        self._begin()
        (runner.out / "notes.txt").write_text("mine")
        if command.before is not None:
            self._run_well(command.before)
        runner.out.rename(self.before)
        self.older = files(self.before)
        self._begin()
        self._run_well()
        self.calls, self.whole = runner.calls(), contents(runner.out)
        self.failed = ("", "")

    def _begin(self):
        shutil.rmtree(self.runner.out, ignore_errors=True)
        if self.before.exists():
            shutil.copytree(self.before, self.runner.out)
        else:
            self.runner.out.mkdir()

    def _run_well(self, more=()):
        status, output, errors = self.runner.run(self.command, more)
        assert status == "0", output + errors

    def try_fault(self, number, error):
        """Let call ``number`` fail and repeat the command. Return how it ended: error, warning or unharmed.

        Raises:
            AssertionError: something is lost, half-written, unsaid or different.
        """
        self._begin()
        status, output, errors = self.runner.run(self.command, (), number, error)
        said = f"status {status}\n{output[-1500:]}{errors}"
        assert len(self.runner.calls()) >= number, "the call was not made"
        self.failed = self.runner.calls()[number - 1]
        assert "Traceback" not in output + errors and "fault of the program" not in errors, said
        outcome = "error"
        if status == "0":
            outcome = "warning" if "going on without it" in output else "unharmed"
            assert not errors, said
        else:
            assert status in ("1", "2") and re.fullmatch(r"error: .*\n", errors), said
        self._check_files(outcome)
        left, stale = contents(self.runner.out), set()
        if outcome == "warning" and self.command.resumes:
            stale = {name for name, value in self.whole.items() if name.endswith(PICTURES) and left.get(name) != value}
        status, output, errors = self.runner.run(self.command)
        assert (status, errors) == ("0", ""), f"again: status {status}\n{output[-1500:]}{errors}"
        found = contents(self.runner.out)
        assert all(found.get(name) in (left.get(name), self.whole[name]) for name in stale), sorted(stale)
        assert_same(*({name: value for name, value in both.items() if name not in stale}
                      for both in (found, self.whole)))
        return outcome

    def _check_files(self, outcome):
        left = files(self.runner.out)
        assert not [name for name in left if ".unet-" in name or name.endswith(".lock")], sorted(left)
        found = contents(self.runner.out)       # all of them can be read
        is_replaced = "--overwrite=True" in self.command.arguments and found["config.yaml"] == self.whole["config.yaml"]
        for name, data in self.older.items():
            # The list of what preprocess.py has written grows before it writes. The record of a predicted image is
            # removed before its results change, or says why there are none.
            if name.endswith(WRITTEN) or name.startswith(f"{records.FOLDER}/"):
                continue
            if name in self.whole and left.get(name) != data and not (is_replaced and name not in left):
                assert is_part(found.get(name), self.whole[name]), f"{name} is neither old nor new"
        if outcome == "unharmed":
            assert_same(found, self.whole)
        elif outcome == "warning":
            new = [name for name in found if name not in self.older or left[name] != self.older[name]]
            assert_same({name: found[name] for name in new}, {name: self.whole.get(name) for name in new})


def sites(calls, most=3):
    """Numbers of the first, the last and (of three) a middle call of each kind on each file, process ids aside."""
    numbers = defaultdict(list)
    for number, (kind, path) in enumerate(calls, 1):
        numbers[kind, re.sub(r"unet-\d+", "unet", path)].append(number)
    return sorted({found[round(place)] for found in numbers.values()
                   for place in np.linspace(0, len(found) - 1, most)})


def sample(calls, count, first):
    """Numbers of ``count`` calls, evenly spread over the run, of one kind after the other from KINDS[first] on."""
    chosen = []
    for turn in range(count):
        kind, wanted = KINDS[(first + turn) % len(KINDS)], len(calls) * (turn + 0.5) / count
        chosen.append(min((number for number, (other, _) in enumerate(calls, 1) if other == kind),
                          key=lambda number: abs(number - wanted)))
    return chosen
