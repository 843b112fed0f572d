"""What the tests share: the real data where it is present, small data sets, and runs of the scripts."""
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from src.data import notices
from src.model_utils.errors import UNetError
from src.model_utils.runtime import cap_cpu_instruction_set
from tests.support import light, narrow, scripts
from tests.support.data import write_pairs

# Before MindSpore loads; its warnings would hide the tests' own output.
os.environ.setdefault("GLOG_v", "3")


def pytest_configure(config):
    """Set this process up for MindSpore's own kernels; not the one that starts workers, which would inherit it."""
    if config.getoption("dist", "no") == "no":
        cap_cpu_instruction_set()


@pytest.hookimpl(optionalhook=True)      # without xdist, as with -p no:xdist
def pytest_xdist_auto_num_workers():
    """One worker more than there are processors, as tests also wait: for disks, compilers, and processes that start."""
    return (os.cpu_count() or 1) + 1


# Every run has the same examples, so that a change is refused for what it changed. Others are looked for with
# --hypothesis-profile=random. A loaded machine is slow, which is no fault.
for name, settled in (("unet", {"derandomize": True}), ("random", {"max_examples": 500})):
    settings.register_profile(name, **{"deadline": None, "max_examples": 50,
                                       "suppress_health_check": [HealthCheck.too_slow], **settled})
settings.load_profile("unet")


def folder_beside_the_project(name, variable, content):
    """The folder that an environment variable names, or the one beside the project; without it, tests are left out."""
    folder = Path(os.environ.get(variable, scripts.PROJECT.parent / "shared" / name))
    if not folder.is_dir():
        pytest.skip(f"{content} are not at {folder}; set {variable} to their folder")
    return folder


@pytest.fixture(autouse=True)
def nothing_said_before(monkeypatch):
    """What is logged once in a process is logged once in each test."""
    monkeypatch.setattr(notices, "_said", set())


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real data sets."""
    return folder_beside_the_project("data", "UNET_DATA_DIR", "the real data sets")


@pytest.fixture(scope="session")
def compat():
    """Folder of facts about the model zoo: python_names.json has its names and signatures."""
    return folder_beside_the_project("compat", "UNET_COMPAT_DIR", "the facts about the model zoo")


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
def narrow_networks():
    """All networks have a quarter of their channels while a module's tests run, in the processes of scripts too."""
    with narrow.narrow_networks():
        yield


@pytest.fixture(scope="module")
def light_runs():
    """unet_simple is shallow and curves are not drawn while a module's tests run, in the processes of scripts too."""
    with light.light_runs():
        yield


@pytest.fixture(scope="module")
def exports_here():
    """The cache of ONNX files is filled in this process, not in one of its own, while a module's tests run."""
    from src.export import onnx_cache

    def export(config, paths):
        try:
            return onnx_cache._export(config.as_dict(), list(map(str, paths))), ""
        except (UNetError, OSError) as error:
            return onnx_cache.REFUSED, str(error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_cache, "_export_in_process", export)
        yield


@pytest.fixture(scope="module")
def onnx_is_fastest():
    """ONNX Runtime counts as the fastest backend, and none is measured, while a module's tests run."""
    from src.inference.backend_choice import Measurement

    def known(measurement):
        return measurement._choice({"seconds": {name: 1 + (name != "onnx") for name in measurement.names},
                                    "size": [512, 512]})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Measurement, "known", known)
        yield


@pytest.fixture
def run(tmp_path):
    """``scripts.run``, in an empty folder."""
    def run_there(script, *arguments, **options):
        return scripts.run(script, *arguments, **{"cwd": tmp_path, **options})
    return run_there
