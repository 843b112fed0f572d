"""The Dockerfile as far as it can be checked without Docker; docker_start.sh with stand-ins that record."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.scripts import PROJECT, SCRIPTS, bash

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
        "run", "--rm", "--shm-size=2g", "--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp", "--workdir",
        f"{tmp_path}/model", "--mount", f"type=bind,source={tmp_path}/some data,target={tmp_path}/some data",
        "--mount", f"type=bind,source={tmp_path}/model,target={tmp_path}/model", "unet:1", "bash"]


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
    (["--help", "a", "b"], ["docker"], "Usage: "),
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


def test_requirements_are_pinned_within_their_bounds():
    pins = dict(line.split("==") for line in (PROJECT / "requirements.lock").read_text().splitlines()
                if line and not line.startswith("#"))
    for line in (PROJECT / "requirements.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        requirement = Requirement(line)
        version = pins.get(requirement.name)
        if requirement.name == "mindspore":
            version, = (line.split("=")[1] for line in (PROJECT / "Dockerfile").read_text().splitlines()
                        if line.startswith("ARG MINDSPORE_VERSION="))
        assert version and requirement.specifier.contains(version), line


def test_files_that_the_image_gets():
    """All is left out but what .dockerignore names; what it names is there."""
    kept = [line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert (PROJECT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert {"src", "scripts", "*.py", "configs", "requirements.lock"} <= set(kept)
    for pattern in kept:
        assert list(PROJECT.glob(pattern)), pattern


def test_hadolint():
    if not (hadolint := shutil.which("hadolint")):
        pytest.skip("hadolint is not installed")
    result = subprocess.run([hadolint, str(Path(PROJECT, "Dockerfile"))], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
