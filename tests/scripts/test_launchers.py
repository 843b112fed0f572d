"""The launchers, with recording stand-ins for npu-smi, mpirun, msrun and the Python scripts."""
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.scripts import PROJECT
from tests.support.stand_ins import Launch, runs


@pytest.fixture
def launch(tmp_path):
    return Launch(tmp_path)


def options(config, data, output, *more):
    return [f"--config_path={config}", f"--data_path={data}", *more, f"--output_path={output}"]


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
        f"--splits={launch.folder / 'old run' / 'splits.json'}",
        *([f"--checkpoint_file_path={launch.folder / 'best.ckpt'}"] if checkpoint else []),
        *(["--device_target=GPU"] if kind else [])])
    assert call == DEVICE[kind]
    assert (folder / f"{action}.log").read_text().startswith(f"{action}.py says ")
    assert (folder / "status").read_text() == "0\n"
    assert "DEVICE_ID=" in (folder / "env.log").read_text()
    assert (folder / "npu-smi.log").exists() == (kind == "")


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
    out, _ = process.communicate(timeout=30)
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


# ---- rank tables


def write_table(path, servers):
    """servers: server_id -> [(rank, device), ...]."""
    table = {"version": "1.0", "server_count": str(len(servers)), "status": "completed", "server_list": [
        {"server_id": name, "host_nic_ip": "reserve", "device": [
            {"device_id": str(device), "device_ip": f"192.1.27.{device}", "rank_id": str(rank)}
            for rank, device in cards]} for name, cards in servers.items()]}
    path.write_text(json.dumps(table))
    return path


def check_ranks(launch, folder, cards, size):
    calls = launch.recorded("train.py")
    assert calls == [{
        "cwd": str(folder / f"LOG{rank}"), "RANK_ID": str(rank), "DEVICE_ID": str(device), "RANK_SIZE": str(size),
        "RANK_TABLE_FILE": str(launch.folder / "table.json"), "HCCL_CONNECT_TIMEOUT": "600",
        "argv": options(launch.folder / "a.yaml", launch.folder / "my data", folder / "output",
                        "--run_distribute=True", "--device_target=Ascend")} for rank, device in cards]
    for rank, _ in cards:
        assert f"rank {rank} does end" in (folder / f"LOG{rank}" / "log.log").read_text()


def test_rank_table_of_one_server(launch):
    cards = [(0, 2), (1, 3), (2, 5)]
    write_table(launch.folder / "table.json", {"10.9.8.7": cards})
    result = launch("run_distribute_train.sh", "table.json", "my data", "a.yaml")
    assert result.returncode == 0, result.stderr
    check_ranks(launch, launch.folder / "train_distributed_1", cards, 3)
    assert launch.recorded("npu-smi")[0]["argv"] == ["info"]
    assert "npu-smi says" in (launch.folder / "train_distributed_1" / "npu-smi.log").read_text()


@pytest.mark.parametrize("own, environment", [("127.0.0.1", {}), ("10.9.8.7", {"SERVER_ID": "10.9.8.7"})])
def test_rank_table_of_two_servers(launch, own, environment):
    """This server's ranks are started, and only those: it is found by its address, or by SERVER_ID."""
    cards = [(2, 0), (3, 1)]
    write_table(launch.folder / "table.json", {"10.1.1.1": [(0, 0), (1, 1)], own: cards})
    result = launch("run_distribute_train.sh", "table.json", "my data", "a.yaml", **environment)
    assert result.returncode == 0, result.stderr
    assert f"LOG2{os.sep}log.log" in result.stdout
    for call in (calls := launch.recorded("train.py")):
        call.pop("SERVER_ID", None)
    launch.records.write_text("".join(json.dumps({"name": "train.py", **call}) + "\n" for call in calls))
    check_ranks(launch, launch.folder / "train_distributed_1", cards, 4)


@pytest.mark.parametrize("servers, part", [
    ({"10.1.1.1": [(0, 0)], "10.1.1.2": [(1, 0)]}, "set SERVER_ID to one of them"),
    ({"10.1.1.1": [(0, 0), (2, 1)]}, "the rank_ids are [0, 2]; expected 0, 1, 2"),
    ({"10.1.1.1": [(0, 0), (1, 0)]}, "server 10.1.1.1 has a device_id twice"),
    ({}, "the rank_ids are []"), ("{", "Expecting"), ("[]", "not a rank table of version 1.0"),
    ('{"server_list": [{"server_id": "x", "device": [{"device_id": "0"}]}]}', "KeyError: 'rank_id'"),
    ('{"server_count": "2", "server_list": []}', "server_count is 2, but there are 0 servers")])
def test_rank_tables_that_are_not_in_order(launch, servers, part):
    table = launch.folder / "table.json"
    if isinstance(servers, str):
        table.write_text(servers)
    else:
        write_table(table, servers)
    result = launch("run_distribute_train.sh", "table.json", "my data", "a.yaml")
    assert result.returncode == 2 and result.stderr.startswith(f"error: {table}: "), result.stderr
    assert part in result.stderr and result.stderr.count("\n") == 1
    assert not (launch.folder / "train_distributed_1").exists()


def test_launch_8p(launch):
    (launch.folder / "hccn.conf").write_text("".join(f"address_{n}=192.1.27.{n}\nnetmask_{n}=x\n" for n in range(8)))
    command = [sys.executable, str(PROJECT / "launch_8p.py"), "--data_path=my data", "--config_path=a.yaml",
               "--hccn_conf=hccn.conf", "--visible_devices=1,4,6", "--nproc_per_node=2", "--lr=0.1"]
    result = subprocess.run(command, cwd=launch.folder, env=launch.environment, text=True, capture_output=True,
                            check=False)
    assert result.returncode == 0, result.stderr
    table = json.loads((launch.folder / "rank_table_2p.json").read_text())
    assert table["server_list"][0]["device"] == [
        {"device_id": "1", "device_ip": "192.1.27.1", "rank_id": "0"},
        {"device_id": "4", "device_ip": "192.1.27.4", "rank_id": "1"}]
    calls = launch.recorded("train.py")
    assert [(call["RANK_ID"], call["DEVICE_ID"], call["RANK_SIZE"], call["argv"][-1]) for call in calls] == [
        ("0", "1", "2", "--lr=0.1"), ("1", "4", "2", "--lr=0.1")]


@pytest.mark.parametrize("arguments, part", [
    (["--hccn_conf=none"], "none: No such file"), (["--visible_devices=9"], "no address of card 9"),
    (["--nproc_per_node=9"], "--nproc_per_node 9"), (["--visible_devices=a"], "expected numbers")])
def test_wrong_use_of_launch_8p(launch, arguments, part):
    (launch.folder / "hccn.conf").write_text("address_0=192.1.27.0\n")
    command = [sys.executable, str(PROJECT / "launch_8p.py"), "--data_path=my data", "--hccn_conf=hccn.conf"]
    result = subprocess.run([*command, *arguments], cwd=launch.folder, text=True, capture_output=True, check=False)
    assert result.returncode == 2 and part in result.stderr


# ---- mpirun and msrun


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
    assert time.monotonic() - started < 45      # those that wait would do so for a minute
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
    process.communicate(timeout=30)
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


# ---- wrong use


@pytest.mark.parametrize("script, arguments, part", [
    ("run_standalone_train.sh", [], "Usage: "), ("run_standalone_train.sh", ["a", "b", "0", "c"], "Usage: "),
    ("run_standalone_train.sh", ["--help"], "DEVICE_ID    number of the Ascend card"),
    ("run_standalone_train.sh", ["my data", "a.yaml", "--lr", "1"], "Usage: "),
    ("run_standalone_train.sh", ["none", "a.yaml"], "DATASET: no such folder: none"),
    ("run_standalone_train.sh", ["my data", "none"], "CONFIG_PATH: no such file: none"),
    ("run_standalone_train.sh", ["my data", "a.yaml", "one"], "DEVICE_ID: expected a number, found 'one'"),
    ("run_standalone_train_gpu.sh", [], "number of the GPU card"),
    ("run_standalone_eval.sh", ["my data", "a.yaml"], "[CHECKPOINT]"),
    ("run_standalone_eval.sh", ["my data", "none", "a.yaml"], "CHECKPOINT: no such file: none"),
    ("run_standalone_eval_gpu.sh", ["my data", "best.ckpt", "none"], "CONFIG_PATH: no such file: none"),
    ("run_distribute_train.sh", ["table.json", "my data"], "Usage: "),
    ("run_distribute_train.sh", ["none", "my data", "a.yaml"], "RANK_TABLE_FILE: no such file: none"),
    ("run_distribute_train_gpu.sh", ["two", "my data", "a.yaml"], "RANKSIZE: expected a number"),
    ("run_distribute_train_gpu.sh", ["0", "my data", "a.yaml"], "at least 1"),
    ("run_distribute_train_gpu.sh", ["3", "my data", "a.yaml", "0,1"], "0,1 are fewer than RANKSIZE 3"),
    ("run_distribute_train_gpu.sh", ["3", "my data", "a.yaml", "all"], "expected numbers"),
    ("run_distribute_train_msrun.sh", ["2", "my data", "a.yaml"], "Usage: "),
    ("run_distribute_train_msrun.sh", ["2", "my data", "a.yaml", "TPU"], "found 'TPU'"),
    ("run_eval_onnx.sh", ["my data", "unet.onnx", "Ascend", "a.yaml"], "expected GPU or CPU, found 'Ascend'"),
    ("run_eval_onnx.sh", ["my data", "none", "CPU", "a.yaml"], "ONNX_MODEL: no such file: none"),
])
def test_wrong_use(launch, script, arguments, part):
    before = sorted(os.listdir(launch.folder))
    result = launch(script, *arguments)
    assert result.returncode == 2 and part in result.stderr, result.stderr
    assert sorted(os.listdir(launch.folder)) == before and not launch.records.exists()
