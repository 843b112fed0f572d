"""What the tests share: the real data where it is present, small data sets, and runs of the scripts."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from src.model_utils.runtime import cap_cpu_instruction_set  # noqa: E402

# Before MindSpore loads; its warnings would hide the tests' own output.
os.environ.setdefault("GLOG_v", "3")

# What the scripts of the project see; taken before this process is set up for MindSpore's own kernels.
SCRIPT_ENVIRONMENT = dict(os.environ)

pytest_plugins = ["lite"]


def pytest_configure(config):
    """Set this process up for MindSpore's own kernels; not the one that starts workers, which would inherit it."""
    if config.getoption("dist", "no") == "no":
        cap_cpu_instruction_set()


settings.register_profile("unet", deadline=None, max_examples=50)
settings.load_profile("unet")


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real data sets; tests that need it are left out without it."""
    folder = Path(os.environ.get("UNET_DATA_DIR", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data are not at {folder}; set UNET_DATA_DIR to their folder")
    return folder


@pytest.fixture(scope="session")
def isbi(real_data):
    """Folder of the real ISBI stacks."""
    return real_data / "isbi"


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """Folder of small synthetic stacks: 10 slices of 96x96."""
    from src.data.synthetic import write_sample

    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, slices=10, size=96, seed=1)
    return folder


@pytest.fixture(scope="module")
def small_one_channel_networks():
    """unet_bilinear and unet_keras of a quarter of their channels, in this process, while a module's tests run."""
    from src.networks import unet_bilinear as bilinear
    from src.networks import unet_keras as keras

    with pytest.MonkeyPatch.context() as patch:
        for module in (bilinear, keras):
            patch.setattr(module, "CHANNELS", tuple(channels // 4 for channels in module.CHANNELS))
        yield


def write_pairs(folder, names, size=(40, 48), classes=2, seed=0):
    """Write NAME/image.png and NAME/mask.png: bright squares on dark ground; masks 0/255, or class numbers."""
    rng = np.random.default_rng(seed)
    for name in names:
        image = rng.integers(0, 60, (*size, 3), dtype=np.uint8)
        mask = np.zeros(size, np.uint8)
        for number in range(1, classes):
            top, left = rng.integers(0, size[0] - 16), rng.integers(0, size[1] - 16)
            image[top:top + 16, left:left + 16] += np.uint8(190 * number // (classes - 1))
            mask[top:top + 16, left:left + 16] = 255 if classes == 2 else number
        (folder / name).mkdir(parents=True)
        Image.fromarray(image).save(folder / name / "image.png")
        Image.fromarray(mask).save(folder / name / "mask.png")
    return folder


@pytest.fixture(scope="session")
def nuclei(tmp_path_factory):
    """Folder data set of two classes: 10 pictures of 40x48."""
    return write_pairs(tmp_path_factory.mktemp("nuclei"), [f"{number:04d}" for number in range(10)])


def run(script, *arguments, cwd=None, env=None, timeout=300):
    """Run a script of the project as a user does; returns the CompletedProcess with text output."""
    return subprocess.run([sys.executable, str(PROJECT / script), *map(str, arguments)], cwd=cwd, text=True,
                          capture_output=True, timeout=timeout, env={**SCRIPT_ENVIRONMENT, **(env or {})}, check=False)


@pytest.fixture(name="run")
def run_fixture(tmp_path):
    """``run``, in an empty folder."""
    def run_there(script, *arguments, **options):
        return run(script, *arguments, **{"cwd": tmp_path, **options})
    return run_there


def assert_one_line_error(result, *parts):
    """The script ended with status 2 and one line on standard error that has all ``parts`` in it."""
    assert result.returncode == 2, result.stdout + result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    for part in parts:
        assert str(part) in lines[0], result.stderr
