"""What the tests share: the real data where it is present, small data sets, and runs of the scripts."""
import os
from pathlib import Path

import pytest
from hypothesis import settings

from src.model_utils.runtime import cap_cpu_instruction_set
from tests.support import scripts
from tests.support.data import write_pairs

# Before MindSpore loads; its warnings would hide the tests' own output.
os.environ.setdefault("GLOG_v", "3")


def pytest_configure(config):
    """Set this process up for MindSpore's own kernels; not the one that starts workers, which would inherit it."""
    if config.getoption("dist", "no") == "no":
        cap_cpu_instruction_set()


settings.register_profile("unet", deadline=None, max_examples=50)
settings.load_profile("unet")


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real data sets; tests that need it are left out without it."""
    folder = Path(os.environ.get("UNET_DATA_DIR", scripts.PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not at {folder}; set UNET_DATA_DIR to their folder")
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


@pytest.fixture(scope="session")
def nuclei(tmp_path_factory):
    """Folder data set of two classes: 10 images of 40x48."""
    return write_pairs(tmp_path_factory.mktemp("nuclei"), [f"{number:04d}" for number in range(10)])


@pytest.fixture(scope="module")
def small_one_channel_networks():
    """unet_bilinear and unet_keras of a quarter of their channels, in this process, while a module's tests run."""
    from src.networks import unet_bilinear as bilinear
    from src.networks import unet_keras as keras

    with pytest.MonkeyPatch.context() as patch:
        for module in (bilinear, keras):
            patch.setattr(module, "CHANNELS", tuple(channels // 4 for channels in module.CHANNELS))
        yield


@pytest.fixture
def run(tmp_path):
    """``scripts.run``, in an empty folder."""
    def run_there(script, *arguments, **options):
        return scripts.run(script, *arguments, **{"cwd": tmp_path, **options})
    return run_there
