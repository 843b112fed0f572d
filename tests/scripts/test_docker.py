"""The Dockerfile as far as it can be checked without Docker; docker_start.sh with stand-ins that record."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.scripts import PROJECT, SCRIPT_ENVIRONMENT, SCRIPTS, bash, call

# Each argument on a line of its own.
RECORDER = '#!/bin/sh\nprintf "%s\\n" "$@" > "$RECORD"\n'


@pytest.fixture
def start(tmp_path):
    """Calls docker_start.sh with docker and the ``tools`` on the PATH, and ``devices`` in a /dev of its own."""
    def start(*arguments, devices=(), tools=("docker",)):
        for folder, names in (("bin", tools), ("dev", devices)):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
            (tmp_path / folder).mkdir()
            for name in names:
                (tmp_path / folder / name).write_text(RECORDER)
                (tmp_path / folder / name).chmod(0o755)
        for tool in ("bash", "id", "stat", "sort", "basename"):
            (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
        result = bash(SCRIPTS / "docker_start.sh", *arguments, cwd=tmp_path, PATH=str(tmp_path / "bin"),
                      UNET_DEV=str(tmp_path / "dev"), RECORD=str(tmp_path / "record"))
        record = tmp_path / "record"
        return result, record.read_text().splitlines() if record.exists() else None

    (tmp_path / "some data").mkdir()
    (tmp_path / "model").mkdir()
    return start


def mounts(arguments):
    return [after for before, after in zip(arguments, arguments[1:]) if before == "--mount"]


def test_on_a_machine_without_accelerators(start, tmp_path):
    result, arguments = start("unet:1", "some data", "model")
    assert result.returncode == 0 and result.stderr == "accelerators: none\n"
    assert arguments == [
        "run", "--rm", "--shm-size=2g", "--user", f"{os.getuid()}:{os.getgid()}", "--cap-drop=ALL",
        "--security-opt=no-new-privileges", "--env", "HOME=/tmp", "--workdir", f"{tmp_path}/model",
        "--mount", f"type=bind,source={tmp_path}/some data,target={tmp_path}/some data,readonly",
        "--mount", f"type=bind,source={tmp_path}/model,target={tmp_path}/model", "unet:1", "bash"]


def test_data_that_may_be_written(start, tmp_path, monkeypatch):
    """If it is asked for, or if the data are in the folder of the models."""
    _, arguments = start("unet:1", "model", "model")
    assert mounts(arguments) == [f"type=bind,source={tmp_path}/model,target={tmp_path}/model"]
    monkeypatch.setitem(SCRIPT_ENVIRONMENT, "WRITE_DATA", "1")
    _, arguments = start("unet:1", "some data", "model")
    assert not any("readonly" in mount for mount in mounts(arguments)) and len(mounts(arguments)) == 2


def test_devices_that_exist_and_a_command(start, tmp_path):
    result, arguments = start("i", "some data", "some data", "python", "train.py", "--data_path=some data",
                              devices=["davinci0", "davinci10", "davinci_manager", "hisi_hdc", "davinci_x"],
                              tools=["docker", "npu-smi", "nvidia-smi"])
    assert result.stderr == "accelerators: davinci0 davinci10 all GPUs\n"
    assert [argument for argument in arguments if argument.startswith("--device=")] == [
        f"--device={tmp_path}/dev/{name}" for name in ("davinci0", "davinci10", "davinci_manager", "hisi_hdc")]
    assert arguments[arguments.index("--group-add") + 1] == str((tmp_path / "dev" / "davinci0").stat().st_gid)
    assert arguments.count("--group-add") == 1 and arguments[arguments.index("--gpus") + 1] == "all"
    npu_smi = f"{tmp_path}/bin/npu-smi"
    assert f"type=bind,source={npu_smi},target={npu_smi},readonly" in mounts(arguments)
    assert sum("some data" in mount for mount in mounts(arguments)) == 1
    assert arguments[-4:] == ["i", "python", "train.py", "--data_path=some data"]


def test_npu_smi_alone_maps_nothing(start):
    _, arguments = start("i", "some data", "model", devices=["davinci_manager"], tools=["docker", "npu-smi"])
    assert "davinci" not in " ".join(arguments) and len(mounts(arguments)) == 2


@pytest.mark.parametrize("arguments, tools, part", [
    ([], ["docker"], "Usage: "), (["i", "some data"], ["docker"], "Usage: "),
    (["-x", "a", "b"], ["docker"], "Usage: "),
    (["i", "none", "model"], ["docker"], "error: DATA_DIR: no such folder: none"),
    (["i", "model", "some"], ["docker"], "error: MODEL_DIR: no such folder: some"),
    (["i", "model", "a,b"], ["docker"], "error: MODEL_DIR: docker cannot mount"),
    (["i", "model", "model"], [], "error: docker is not installed")])
def test_what_is_refused(start, tmp_path, arguments, tools, part):
    (tmp_path / "a,b").mkdir()
    result, record = start(*arguments, tools=tools)
    assert result.returncode == 2 and result.stderr.startswith(part) and result.stderr.count("\n") == 1
    assert record is None


# ---- the image


LOCKS = [PROJECT / "requirements.lock", PROJECT / "mindspore.lock", SCRIPTS / "lib" / "mindspore_lite.lock"]


def pins_of(lock):
    """(name, version) of each package in a lock, those for other versions of Python first."""
    found = re.findall(r"^([\w.-]+)==(\S+)(.*)", lock.read_text(), re.MULTILINE)
    return [pin[:2] for pin in sorted(found, key=lambda pin: ">=" not in pin[2])]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_files_of_packages_are_known_by_their_hashes(lock):
    """Whatever an index offers under a name and version, only these files are installed."""
    entries = re.split(r"\n(?=[a-z])", re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE).strip())
    assert len(entries) == len(pins_of(lock)) > 0
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_installing_needs_the_hashes():
    assert (PROJECT / "Dockerfile").read_text().count("--no-deps --require-hashes --requirement") == 2
    assert "--require-hashes --requirement" in (SCRIPTS / "get_mindspore_lite.sh").read_text()


def test_the_python_and_the_mindspore_of_the_image():
    """The build's first check refuses other versions of Python; what the second imports exists."""
    text = (PROJECT / "Dockerfile").read_text().replace("\\\n", "")
    check = re.search(r"RUN python3 -c '(import sys.*?)'\n", text)[1]
    for versions, status in (('("3.11", "3.12")', 0), ('("3.8", )', 1)):
        result = call(sys.executable, "-c", check.replace('("3.11", "3.12")', versions))
        expected = status if sys.version_info[:2] in ((3, 11), (3, 12)) else 1
        assert result.returncode == expected and result.stderr.startswith("error: python3 of this image is") == expected
    for module in re.search(r'-c "import (src\.training.*?)"', text)[1].split(", "):
        assert (PROJECT / module.replace(".", "/")).with_suffix(".py").is_file()


def test_the_base_image_is_always_the_same():
    text = (PROJECT / "Dockerfile").read_text()
    assert re.search(r"^ARG FROM_IMAGE_NAME=python:3\.11-\S+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${FROM_IMAGE_NAME}"}


def test_the_code_in_the_image_cannot_be_changed():
    """By the user who runs it: it stands in a folder of root, and no mode of the checkout lets others write it."""
    lines = (PROJECT / "Dockerfile").read_text().splitlines()
    assert "COPY . /opt/unet" in lines
    assert [line for line in lines if "--chown" in line or "chmod" in line] == ["RUN chmod -R go-w /opt/unet"]
    assert [line for line in lines if line.startswith("USER ")][-1] == "USER 10001"


def test_requirements_are_pinned_within_their_bounds():
    pins = {name: version for lock in LOCKS for name, version in pins_of(lock)}
    for line in (PROJECT / "requirements.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        requirement = Requirement(line)
        version = pins.get(requirement.name)
        assert version and requirement.specifier.contains(version), line


def test_files_that_the_image_gets():
    """All is left out but what .dockerignore names; what it names is there."""
    kept = [line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert (PROJECT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert {"src", "scripts", "*.py", "configs", "requirements.lock", "ascend310_infer"} <= set(kept)
    for pattern in kept:
        assert list(PROJECT.glob(pattern)), pattern


def test_hadolint():
    if not (hadolint := shutil.which("hadolint")):
        pytest.skip("hadolint is not installed")
    result = subprocess.run([hadolint, str(Path(PROJECT, "Dockerfile"))], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
