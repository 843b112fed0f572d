"""MindSpore Lite: its runtime, its converter, and the program built on it."""
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support.lite import LITE_HOME, MODELS, PROGRAM, write_images
from tests.support.scripts import PROJECT, bash, call


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


@pytest.fixture
def infer(program, tmp_path):
    """Calls the program in an empty folder that holds the inputs of the narrow unet_simple as in/N.bin."""
    def infer(*more, model=MODELS / "simple.mindir", inputs="in", **environment):
        return call(program, f"--mindir_path={model}", f"--dataset_path={inputs}", "--result_path", "out", *more,
                    cwd=tmp_path, **environment)

    write_images(tmp_path / "in", np.load(MODELS / "expected.npz")["simple_images"], ["0.bin", "1.bin"])
    return infer
