"""The launchers of several ranks, with recording stand-ins for mpirun, msrun and the Python scripts."""
import json
import os
import re
import signal
import time

import pytest

from tests.support.stand_ins import options, runs, write_table


def test_mpirun(launch):
    result = launch("run_distribute_train_gpu.sh", 2, "my data", "a.yaml", "4,6")
    assert result.returncode == 0, result.stderr
    folder = launch.folder / "train_distributed_gpu_1"
    call, = launch.recorded("mpirun")
    assert call["argv"][:2] == ["-n", "2"] and call["CUDA_VISIBLE_DEVICES"] == "4,6"
    assert ("--allow-run-as-root" in call["argv"]) == (os.getuid() == 0)
    assert launch.recorded("train.py") == [{
        "cwd": str(folder / f"LOG{rank}"), "DEVICE_ID": str(rank), "RANK_SIZE": "2", "CUDA_VISIBLE_DEVICES": "4,6",
        "argv": options(launch.folder / "a.yaml", launch.folder / "my data", folder / "output",
                        "--run_distribute=True", "--device_target=GPU")} for rank in range(2)]
    assert all("says" in (folder / f"LOG{rank}" / "log.log").read_text() for rank in range(2))


def test_msrun(launch):
    result = launch("run_distribute_train_msrun.sh", 2, "my data", "a.yaml", "CPU", "--lr=0.1")
    assert result.returncode == 0, result.stderr
    folder = launch.folder / "train_msrun_1"
    call, = launch.recorded("msrun")
    port = next(int(value.split("=")[1]) for value in call["argv"] if value.startswith("--master_port="))
    assert call["argv"][:7] == ["--worker_num=2", "--local_worker_num=2", "--master_addr=127.0.0.1",
                                f"--master_port={port}", "--node_rank=0", f"--log_dir={folder / 'msrun'}",
                                "--join=True"]
    assert launch.recorded("train.py") == [{
        "cwd": str(folder / f"LOG{rank}"), "RANK_ID": str(rank), "MS_ROLE": "MS_WORKER",
        "argv": [*options(launch.folder / "a.yaml", launch.folder / "my data", folder / "output",
                          "--run_distribute=True", "--device_target=CPU"), "--lr=0.1"]} for rank in range(2)]
    assert (folder / "scheduler" / "status").read_text() == "0\n"


@pytest.mark.parametrize("network, option", [("best.ckpt", "checkpoint_file_path"), ("my data", "checkpoint_file_path"),
                                             ("NET.onnx", "file_name")])
def test_msrun_predicts(launch, network, option):
    (launch.folder / "NET.onnx").touch()
    result = launch("run_distribute_predict.sh", 2, "my data", network, "a.yaml", "CPU", "--output_path=old/output")
    assert result.returncode == 0, result.stderr
    folder = launch.folder / "predict_msrun_1"
    assert launch.recorded("predict.py") == [{
        "cwd": str(folder / f"LOG{rank}"), "RANK_ID": str(rank), "MS_ROLE": "MS_WORKER",
        "argv": [*options(launch.folder / "a.yaml", launch.folder / "my data", folder / "output",
                          f"--{option}={launch.folder / network}", "--run_distribute=True", "--device_target=CPU"),
                 "--output_path=old/output"]} for rank in range(2)]


def test_msrun_predicts_with_a_link(launch):
    """It is an ONNX file by the name of the link, not of the file that it leads to."""
    (launch.folder / "0a1b2c").touch()
    (launch.folder / "net.onnx").symlink_to("0a1b2c")
    result = launch("run_distribute_predict.sh", 1, "my data", "net.onnx", "a.yaml", "CPU")
    assert result.returncode == 0, result.stderr
    assert f"--file_name={launch.folder / 'net.onnx'}" in launch.recorded("predict.py")[0]["argv"]


def test_a_folder_with_a_rank_in_its_name(launch):
    """Only in the name of the log the number of the rank stands for {rank}."""
    launch.folder = launch.folder.rename(launch.folder.with_name("my {rank} LOG{rank}"))
    result = launch("run_distribute_train_msrun.sh", 2, "my data", "a.yaml", "CPU")
    assert result.returncode == 0, result.stderr
    folder = launch.folder / "train_msrun_1"
    assert [call["cwd"] for call in launch.recorded("train.py")] == [str(folder / f"LOG{rank}") for rank in range(2)]
    assert (folder / "scheduler" / "status").read_text() == "0\n"
    assert [path.name for path in launch.folder.parent.iterdir() if "LOG" in path.name] == [launch.folder.name]


@pytest.mark.slow
def test_progress_of_all_ranks(launch):
    """Each new line of rank 0 once; those of its files are left out."""
    result = launch("run_distribute_predict.sh", 2, "my data", "best.ckpt", "a.yaml", "CPU", DO='{"0": "progress"}')
    assert result.returncode == 0, result.stderr
    assert [line for line in result.stdout.splitlines() if "predicted" in line] == [
        "predicted 1 of 3 files", "predicted 2 of 3 files"]


def test_msrun_on_several_servers(launch):
    servers = {"MASTER_ADDR": "10.1.1.1", "MASTER_PORT": "9000", "NODE_RANK": "1", "LOCAL_WORKER_NUM": "2"}
    result = launch("run_distribute_train_msrun.sh", 4, "my data", "a.yaml", "Ascend", **servers)
    assert result.returncode == 0, result.stderr
    assert "LOG2/log.log" in result.stdout
    call, = launch.recorded("msrun")
    assert call["argv"][:5] == ["--worker_num=4", "--local_worker_num=2", "--master_addr=10.1.1.1",
                                "--master_port=9000", "--node_rank=1"]
    for name in ("NODE_RANK", "LOCAL_WORKER_NUM"):
        result = launch("run_distribute_train_msrun.sh", 4, "my data", "a.yaml", "CPU", **{**servers, name: ""})
        assert result.returncode == 2 and f"so {name} must be" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("script, arguments", [
    ("run_distribute_train.sh", ["table.json", "my data", "a.yaml"]),
    ("run_distribute_train_gpu.sh", [3, "my data", "a.yaml"]),
    ("run_distribute_train_msrun.sh", [3, "my data", "a.yaml", "CPU"])], ids=["table", "mpirun", "msrun"])
@pytest.mark.parametrize("do, status, part", [
    ({"0": "wait", "1": "die", "2": "wait"}, 137, "error: rank 1 ended by SIGKILL (status 137)"),
    ({"0": "follow", "1": "fail", "2": "wait"}, 3, "error: rank 1 ended with status 3")], ids=["killed", "failed"])
def test_a_rank_that_fails_takes_the_others_down(launch, script, arguments, do, status, part):
    write_table(launch.folder / "table.json", {"10.9.8.7": [(0, 0), (1, 1), (2, 2)]})
    started = time.monotonic()
    result = launch(script, *arguments, DO=json.dumps(do), GRACE="3")
    assert time.monotonic() - started < 300     # those that wait would do so for ten minutes
    assert result.returncode == status
    assert part in result.stderr and "LOG1/log.log" in result.stderr, result.stderr
    assert re.search(r"^  rank 1 does |^  error: this one", result.stderr, re.MULTILINE)
    folder = next(launch.folder.glob("train_*_1"))
    for rank in range(3):
        assert not runs(int((folder / f"LOG{rank}" / "pid").read_text()))


def test_signal_to_all_ranks(launch):
    process = launch.start("run_distribute_train_msrun.sh", 2, "my data", "a.yaml", "CPU",
                           DO='{"0": "wait", "1": "wait"}')
    logs = [f"train_msrun_1/LOG{rank}/log.log" for rank in range(2)]
    for log in logs:
        launch.wait_for(log, "does wait")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == 130
    for log in logs:
        assert (launch.folder / log).read_text().count("stopping after signal 2") == 1


def test_launcher_that_is_not_installed(launch):
    for name in ("msrun", "mpirun"):
        (launch.records.parent / "programs" / name).unlink()
    path = f"{launch.records.parent / 'programs'}:/usr/bin:/bin"
    result = launch("run_distribute_train_gpu.sh", 2, "my data", "a.yaml", PATH=path)
    if "mpirun is not on the PATH; install Open MPI" not in result.stderr:
        pytest.skip("this machine has mpirun")
    assert result.returncode == 2 and not list(launch.folder.glob("train_*"))
