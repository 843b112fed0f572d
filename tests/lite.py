"""MindSpore Lite for the tests: its runtime, its converter, and the program built on it; a plugin of pytest."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT, SCRIPT_ENVIRONMENT

SCRIPTS = PROJECT / "scripts"
MODELS = PROJECT / "tests" / "fixtures" / "mindir"
LITE_HOME = Path(os.environ.get("MS_LITE_HOME", PROJECT / ".mindspore_lite"))
PROGRAM = PROJECT / "ascend310_infer" / "build" / "unet_infer"


def call(*command, cwd=None, **environment):
    """Run a command as a user does."""
    return subprocess.run([str(part) for part in command], cwd=cwd, text=True, capture_output=True, timeout=300,
                          check=False, env={**SCRIPT_ENVIRONMENT, "PYTHON": sys.executable, **environment})


def bash(script, *arguments, **options):
    return call("bash", script, *arguments, **options)


@pytest.fixture(scope="module")
def lite():
    """Where MindSpore Lite is, with a compiler to build against it."""
    missing = [tool for tool in ("cmake", "c++") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if not LITE_HOME.is_dir():
        pytest.skip(f"no MindSpore Lite at {LITE_HOME}; scripts/get_mindspore_lite.sh fetches it")
    return LITE_HOME


@pytest.fixture(scope="module")
def converter(lite):
    """Leaves a test out where onnx_to_mindir.sh cannot run."""
    if not (lite / "mindspore_lite" / "converter.py").is_file():
        pytest.skip(f"{lite} is not the Python wheel, which holds the converter")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    if not any(pyenv.glob("versions/3.7*/bin/python")) and not shutil.which("python3.7"):
        pytest.skip("no CPython 3.7, which the converter of MindSpore Lite needs")


@pytest.fixture(scope="module")
def program(lite):
    """The program; warnings would have been errors."""
    result = bash(PROJECT / "ascend310_infer" / "build.sh")
    assert result.returncode == 0, result.stdout + result.stderr
    return PROGRAM


@pytest.fixture(scope="module")
def expected():
    return np.load(MODELS / "expected.npz")


def write_images(folder, images, names):
    folder.mkdir()
    for name, image in zip(names, images):
        image.tofile(folder / name)
    return folder


@pytest.fixture
def infer(program, tmp_path):
    """Calls the program in an empty folder that holds the inputs of the narrow unet_simple as in/N.bin."""
    def infer(*more, model=MODELS / "simple.mindir", inputs="in"):
        return call(program, f"--mindir_path={model}", f"--dataset_path={inputs}", "--result_path", "out", *more,
                    cwd=tmp_path)

    write_images(tmp_path / "in", np.load(MODELS / "expected.npz")["simple_images"], ["0.bin", "1.bin"])
    return infer


def as_release(lite, folder):
    """The wheel's files where a release package has them; a release package as it is."""
    if (lite / "runtime").is_dir():
        return lite
    wheel, runtime = lite.resolve() / "mindspore_lite", folder / "runtime"
    (runtime / "lib").mkdir(parents=True)
    (runtime / "include").symlink_to(wheel / "include")
    for library in (wheel / "lib").iterdir():
        (runtime / "lib" / library.name).symlink_to(library)
    (runtime / "lib" / "libmindspore-lite.so").symlink_to(wheel / "lib" / "libmindspore-extendrt_python.so")
    return folder
