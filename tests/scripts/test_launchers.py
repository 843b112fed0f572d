"""The launchers of one device, with recording stand-ins for npu-smi and the Python scripts; and wrong use of all."""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.scripts import PROJECT, SCRIPTS, bash
from tests.support.stand_ins import options, write_table

DEVICE = {"": {"DEVICE_ID": "3"}, "_gpu": {"DEVICE_ID": "0", "CUDA_VISIBLE_DEVICES": "3"}}


@pytest.mark.parametrize("action, kind, run", [("train", "", "train"), ("train", "_gpu", "train_standalone_gpu"),
                                               ("eval", "", "eval"), ("eval", "_gpu", "eval_gpu")])
def test_one_device(launch, action, kind, run):
    checkpoint = ["best.ckpt"] if action == "eval" else []
    result = launch(f"run_standalone_{action}{kind}.sh", "my data", *checkpoint, "a.yaml", 3, "--lr=0.1", "--key=a b",
                    "--splits=old run/splits.json")
    assert result.returncode == 0, result.stderr
    folder = launch.folder / f"{run}_1"
    assert f"log: {folder}/{action}.log" in result.stdout
    call, = launch.recorded(f"{action}.py")
    assert call.pop("cwd") == str(folder)
    assert sorted(call.pop("argv")) == sorted([
        f"--config_path={launch.folder / 'a.yaml'}", f"--data_path={launch.folder / 'my data'}",
        f"--output_path={folder / 'output'}", "--lr=0.1", "--key=a b",
        "--splits=old run/splits.json",
        *([f"--checkpoint_file_path={launch.folder / 'best.ckpt'}"] if checkpoint else []),
        *(["--device_target=GPU"] if kind else [])])
    assert call == DEVICE[kind]
    assert (folder / f"{action}.log").read_text().startswith(f"{action}.py says ")
    assert (folder / "status").read_text() == "0\n"
    variables = (folder / "env.log").read_text()
    assert "DEVICE_ID=" in variables and f"UNET_CALLED_FROM={launch.folder}\n" in variables
    assert (folder / "npu-smi.log").exists() == (kind == "")


@pytest.mark.parametrize("script, arguments", [
    ("run_standalone_train.sh", ["my data"]), ("run_standalone_train_gpu.sh", ["my data", "", 3]),
    ("run_standalone_eval.sh", ["my data", "best.ckpt"]), ("run_standalone_eval_gpu.sh", ["my data", "best.ckpt"]),
    ("run_distribute_train.sh", ["table.json", "my data"]), ("run_distribute_train_gpu.sh", [1, "my data"])])
def test_without_a_yaml_file(launch, script, arguments):
    """As in the first release: the U-Net of the paper, whatever file of its name there is in the current folder."""
    (launch.folder / "unet_medical_config.yaml").write_text("lr: 7")
    write_table(launch.folder / "table.json", {"10.9.8.7": [(0, 0)]})
    result = launch(script, *arguments, "--lr=0.1")
    assert result.returncode == 0, result.stderr
    call, = launch.recorded("eval.py" if "eval" in script else "train.py")
    assert f"--config_path={PROJECT / 'unet_medical_config.yaml'}" in call["argv"] and "--lr=0.1" in call["argv"]
    assert f"--data_path={launch.folder / 'my data'}" in call["argv"]


def test_empty_arrays_and_cdpath(launch):
    """bash 4.2 ends with "unbound variable" at an empty array unless it is expanded as here; CDPATH changes cd."""
    scripts = {path: path.read_text() for path in [*SCRIPTS.glob("*.sh"), *SCRIPTS.glob("lib/*.sh")]}
    maybe_empty = set(re.findall(r"(\w+)=\(\)", "".join(scripts.values()))) - {
        "given", "PIDS",    # filled before they are expanded
        "found", "groups"}  # docker_start.sh expands them only if there is a device
    assert {"OPTIONS", "allow"} <= maybe_empty
    for path, text in scripts.items():
        for name in maybe_empty:
            bare = text.replace(f'${{{name}[@]+"${{{name}[@]}}"}}', "")
            assert f"${{{name}[@]}}" not in bare, f"{path}: {name}"
    result = launch("run_standalone_train.sh", "my data", CDPATH=f"{SCRIPTS}:{PROJECT.parent}:{launch.folder}")
    assert result.returncode == 0, result.stderr


def test_run_folders_are_numbered(launch):
    for number in (1, 2, 3):
        assert launch("run_standalone_train.sh", "my data", "a.yaml").returncode == 0
        assert (launch.folder / f"train_{number}" / "train.log").read_text().count("says") == 1


def test_background(launch):
    """By default a launcher returns at once, with the pid that stops the run and the log's path."""
    result = launch("run_standalone_train.sh", "my data", "a.yaml", FOREGROUND="0", DO='{"0": "wait"}')
    assert result.returncode == 0
    pid, log, end = re.fullmatch(r"pid: (\d+), log: (.*), its end: (.*)\n", result.stdout).groups()
    assert (log, end) == (f"{launch.folder}/train_1/train.log", f"{launch.folder}/train_1/launch.log")
    launch.wait_for(log, "does wait")
    os.kill(int(pid), signal.SIGTERM)
    launch.wait_for(end, "stopped by SIGTERM")
    assert "stopping after signal 15" in Path(log).read_text()


def test_exit_status_of_one_device(launch):
    result = launch("run_standalone_train.sh", "my data", "a.yaml", DO='{"0": "fail"}')
    assert result.returncode == 3
    assert result.stderr.startswith(f"error: the run ended with status 3; the last lines of {launch.folder}/train_1/tr")
    assert result.stderr.endswith("  error: this one has failed\n")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_in_the_foreground(launch, signum):
    process = launch.start("run_standalone_train.sh", "my data", "a.yaml", DO='{"0": "wait"}')
    launch.wait_for("train_1/train.log", "does wait")
    process.send_signal(signum)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 128 + signum and f"stopped by {signum.name}" in out
    assert (launch.folder / "train_1" / "train.log").read_text().count("stopping after") == 1


def test_onnx(launch):
    result = launch("run_eval_onnx.sh", "my data", "unet.onnx", "CPU", "a.yaml")
    assert result.returncode == 0, result.stderr
    call, = launch.recorded("infer_unet_onnx.py")
    folder = launch.folder / "eval_onnx_1"
    assert call == {"cwd": str(folder), "argv": options(
        launch.folder / "a.yaml", launch.folder / "my data", folder / "output",
        f"--file_name={launch.folder / 'unet.onnx'}", "--device_target=CPU")}
    assert "infer_unet_onnx.py says" in (folder / "eval.log").read_text()


def test_links_keep_their_names(launch):
    """Other programs store files under names without an ending, and link them; folders may be links too."""
    store = launch.folder / "store"
    (store / "deep").mkdir(parents=True)
    (launch.folder / "folder").symlink_to(store / "deep")
    for name in ("b.yaml", "net.onnx"):
        (store / name).with_suffix("").write_text("")
        (store / name).symlink_to((store / name).with_suffix("").name)
    result = launch("run_eval_onnx.sh", "my data", "folder/../net.onnx", "CPU", "folder/../b.yaml")
    assert result.returncode == 0, result.stderr
    call, = launch.recorded("infer_unet_onnx.py")
    assert f"--file_name={store / 'net.onnx'}" in call["argv"] and f"--config_path={store / 'b.yaml'}" in call["argv"]


def test_only_processes_of_the_run_are_signalled(launch):
    """A number in a file may belong to another process by now; and kill takes more than numbers."""
    other = subprocess.Popen(["sleep", "300"], cwd=launch.folder)
    try:
        process = launch.start("run_standalone_train.sh", "my data", "a.yaml", DO='{"0": "wait"}')
        launch.wait_for("train_1/train.log", "does wait")
        for rank, text in enumerate([f"{other.pid}", f"-- {other.pid}", f"{other.pid} {other.pid}", "none"]):
            (launch.folder / "train_1" / f"LOG{rank}").mkdir()
            (launch.folder / "train_1" / f"LOG{rank}" / "pid").write_text(text)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)
        assert process.returncode == 128 + signal.SIGTERM and other.poll() is None
        assert (launch.folder / "train_1" / "train.log").read_text().count("stopping after signal 15") == 1
    finally:
        other.kill()
        other.wait()


def test_nobody_else_can_write_a_run_folder(launch):
    """Nor do its names lead anywhere else."""
    (launch.folder / "train_distributed_gpu_1").symlink_to("nowhere")
    before = os.umask(0o002)
    try:
        assert launch("run_distribute_train_gpu.sh", 2, "my data", "a.yaml").returncode == 0
    finally:
        os.umask(before)
    for name in (".", "LOG0", "LOG1"):
        assert (launch.folder / "train_distributed_gpu_2" / name).stat().st_mode & 0o777 == 0o755
    assert not (launch.folder / "nowhere").exists()


@pytest.mark.parametrize("given, passed", [
    (["y"], ["y", "Ascend", "0"]), (["n", "2"], ["n", "Ascend", "2"]), (["2", "y"], ["y", "Ascend", "2"]),
    (["2"], None), (["1", "2"], None), ([], None), (["y", "1", "2"], None)])
def test_both_orders_of_run_infer_310(tmp_path, given, passed):
    """y or n tells NEED_PREPROCESS from DEVICE_ID."""
    shutil.copy(SCRIPTS / "run_infer_310.sh", tmp_path)
    (tmp_path / "run_infer_cpp.sh").write_text('printf "%s\\n" "$@"')
    result = bash(tmp_path / "run_infer_310.sh", "unet++", "my net.mindir", *given)
    if passed is None:
        assert result.returncode == 2 and result.stderr.startswith("Usage: ") and not result.stdout
    else:
        assert result.stdout.splitlines() == ["unet++", "my net.mindir", *passed], result.stderr


@pytest.mark.parametrize("script", sorted({path.name for path in SCRIPTS.glob("*.sh")} - {"run_tests.sh"}))
@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_every_script_prints_its_usage_if_it_is_asked(launch, script, asked):
    before = sorted(os.listdir(launch.folder))
    result = launch(script, asked)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    assert result.stdout.startswith(f"Usage: bash scripts/{script} ")
    assert sorted(os.listdir(launch.folder)) == before and not launch.records.exists()


def test_help_after_other_arguments(launch):
    result = launch("run_standalone_train.sh", "my data", "--lr=0.1", "--help")
    assert result.returncode == 0 and result.stdout.startswith("Usage: ") and not launch.records.exists()


# ---- wrong use


@pytest.mark.parametrize("script, arguments, part", [
    ("run_standalone_train.sh", [], "Usage: "), ("run_standalone_train.sh", ["a", "b", "0", "c"], "Usage: "),
    ("run_standalone_train.sh", ["-x"], "DEVICE_ID    number of the Ascend card"),
    ("run_standalone_train.sh", ["my data", "a.yaml", "--lr", "1"], "Usage: "),
    ("run_standalone_train.sh", ["none", "a.yaml"], "DATASET: no such folder: none"),
    ("run_standalone_train.sh", ["my data", "none"], "CONFIG_PATH: no such file: none"),
    ("run_standalone_train.sh", ["my data", "a.yaml", "one"], "DEVICE_ID: expected a number, found 'one'"),
    ("run_standalone_train_gpu.sh", [], "number of the GPU card"),
    ("run_standalone_eval.sh", ["my data"], "DATASET CHECKPOINT [CONFIG_PATH"),
    ("run_standalone_eval.sh", ["my data", "none", "a.yaml"], "CHECKPOINT: no such file: none"),
    ("run_standalone_eval_gpu.sh", ["my data", "best.ckpt", "none"], "CONFIG_PATH: no such file: none"),
    ("run_distribute_train.sh", ["table.json"], "Usage: "),
    ("run_distribute_train.sh", ["none", "my data", "a.yaml"], "RANK_TABLE_FILE: no such file: none"),
    ("run_distribute_train_gpu.sh", ["two", "my data", "a.yaml"], "RANKSIZE: expected a number"),
    ("run_distribute_train_gpu.sh", ["0", "my data", "a.yaml"], "at least 1"),
    ("run_distribute_train_gpu.sh", ["3", "my data", "a.yaml", "0,1"], "0,1 are fewer than RANKSIZE 3"),
    ("run_distribute_train_gpu.sh", ["3", "my data", "a.yaml", "all"], "expected numbers"),
    ("run_distribute_train_msrun.sh", ["2", "my data", "a.yaml"], "Usage: "),
    ("run_distribute_train_msrun.sh", ["2", "my data", "a.yaml", "TPU"], "found 'TPU'"),
    ("run_distribute_predict.sh", ["2", "my data", "best.ckpt", "a.yaml"], "Usage: "),
    ("run_distribute_predict.sh", ["2", "my data", "none", "a.yaml", "CPU"], "NETWORK: no such file or folder: none"),
    ("run_distribute_predict.sh", ["0", "my data", "best.ckpt", "a.yaml", "CPU"], "at least 1"),
    ("run_eval_onnx.sh", ["my data", "unet.onnx", "Ascend", "a.yaml"], "expected GPU or CPU, found 'Ascend'"),
    ("run_eval_onnx.sh", ["my data", "none", "CPU", "a.yaml"], "ONNX_MODEL: no such file: none"),
    ("run_eval_onnx.sh", ["my data", ".", "CPU", "a.yaml"], "ONNX_MODEL: a directory, where a file is expected: ."),
    ("run_standalone_train.sh", ["my data", "/dev/null"], "CONFIG_PATH: a character special file, where a file"),
])
def test_wrong_use(launch, script, arguments, part):
    before = sorted(os.listdir(launch.folder))
    result = launch(script, *arguments)
    assert result.returncode == 2 and part in result.stderr, result.stderr
    assert sorted(os.listdir(launch.folder)) == before and not launch.records.exists()
