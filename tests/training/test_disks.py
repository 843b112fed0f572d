"""Runs into disks that do not take any more, and into what is no folder."""
import subprocess

import mindspore as ms
import pytest

from tests.support.scripts import assert_one_line_error, run_here

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("narrow_networks")]

# In a mode without compiling, which would take longer than the steps.
FOLDERS = ["--model_name=unet_simple", "--dataset=folders", "--num_channels=3", "--image_size=[32,16]",
           "--batch_size=2", "--repeat=1", "--epochs=5", "--weight_init=he_normal", "--lr=0.001",
           "--save_checkpoint_steps=3", "--context_mode=pynative", "--cpu_ops=off"]
FOLDER = ("checkpoint", "ckpt_0")


@pytest.fixture
def mount(tmp_path):
    """Mount a file system of a few megabytes; needs to be root in a container that allows it."""
    mounted = []

    def mount_at(options):
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True,
                          check=False).returncode:
            pytest.skip("no file system can be mounted here (it takes root)")
        mounted.append(place)
        return place
    yield mount_at
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=False)


def test_full_disk(mount, nuclei):
    """Room for one checkpoint and a half: the run ends with one line, the first checkpoint stays whole."""
    place = mount("size=8800k")
    result = run_here("train.py", *FOLDERS, f"--data_path={nuclei}", f"--output_path={place}")
    assert_one_line_error(result, "cannot write", "No space left on device")
    files = sorted(path.name for path in place.joinpath(*FOLDER).iterdir())
    assert files == ["ckpt_unet_simple_adam-1_3.ckpt"]
    assert len(ms.load_checkpoint(str(place.joinpath(*FOLDER) / files[0]))) > 100


def test_read_only_folder(mount, nuclei, tmp_path):
    place = mount("size=1m,ro")
    result = run_here("train.py", *FOLDERS, f"--data_path={nuclei}", f"--output_path={place / 'out'}")
    assert_one_line_error(result, f"cannot write into the output folder {place / 'out'}", "Read-only file system")


def test_output_path_that_is_a_file(nuclei, tmp_path):
    (tmp_path / "file").write_text("mine")
    result = run_here("train.py", *FOLDERS, f"--data_path={nuclei}", f"--output_path={tmp_path / 'file'}")
    assert_one_line_error(result, f"cannot write into the output folder {tmp_path / 'file'}")
    assert (tmp_path / "file").read_text() == "mine"
