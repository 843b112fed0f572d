"""Launchers that read a rank table, with recording stand-ins for npu-smi and the Python scripts."""
import json
import os
import subprocess
import sys

import pytest

from tests.support.scripts import PROJECT, assert_one_line_error
from tests.support.stand_ins import options, write_table


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
    ('{"server_count": "2", "server_list": []}', "server_count is 2, but there are 0 servers"),
    ('{"server_count": [], "server_list": []}', "not a rank table of version 1.0"),
    ('{"server_list": [{"server_id": "x", "device": [{"device_id": 0, "rank_id": 1e999}]}]}', "OverflowError"),
    ('{"server_list": [{"server_id": [], "device": []}, {"server_id": {}, "device": [{"device_id": 0, "rank_id": 0}]'
     '}]}', "cannot tell which of the servers [], {} this is"),
    ('{"server_list": [{"server_id": "a\\nforged", "device": [{"device_id": 0, "rank_id": 0}]}, {"server_id": "b",'
     ' "device": []}]}', "cannot tell which of the servers a\\nforged, b this is"),
    ("[" * 100_000, "recursion")])
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
    (["--nproc_per_node=9"], "--nproc_per_node 9"), (["--visible_devices=a"], "expected numbers"),
    (["--visible_devices=0", "--data_path=none"], "--data_path: no such folder: none"),
    (["--visible_devices=0", "--config_path=none.yaml"], "--config_path: no such YAML file: none.yaml"),
    (["--visible_devices=0", "--config_path=."], "--config_path: .: a folder, where a YAML file is expected")])
def test_wrong_use_of_launch_8p(launch, arguments, part):
    (launch.folder / "hccn.conf").write_text("address_0=192.1.27.0\n")
    command = [sys.executable, str(PROJECT / "launch_8p.py"), "--data_path=my data", "--hccn_conf=hccn.conf"]
    result = subprocess.run([*command, *arguments], cwd=launch.folder, text=True, capture_output=True, check=False)
    assert result.returncode == 2 and part in result.stderr
    assert not list(launch.folder.glob("rank_table*"))


def test_launch_8p_replaces_no_other_table(launch):
    (launch.folder / "hccn.conf").write_text("address_0=192.1.27.0\n")
    command = [sys.executable, str(PROJECT / "launch_8p.py"), "--data_path=my data", "--config_path=a.yaml",
               "--hccn_conf=hccn.conf", "--visible_devices=0"]
    table = launch.folder / "rank_table_1p.json"
    for text, status in (("mine", 2), (None, 0), (None, 0)):     # the table of an earlier call is taken again
        if text:
            table.write_text(text)
        result = subprocess.run(command, cwd=launch.folder, env=launch.environment, text=True, capture_output=True,
                                check=False)
        assert result.returncode == status, result.stderr
        if text:
            assert_one_line_error(result, f"{table} is there and holds something else", "move it, or call this in")
            assert table.read_text() == text and not launch.records.exists()
            table.unlink()


def test_files_that_launch_8p_cannot_use(launch):
    (launch.folder / "text.conf").write_bytes(b"address_0=192.1.27.0\n\xff\naddress_" + b"9" * 5000 + b"=1.1.1.1\n")
    os.mkfifo(launch.folder / "pipe.conf")
    (launch.folder / "rank_table_1p.json").mkdir()
    for name, part in (("pipe.conf", "pipe.conf: a FIFO, where a regular file is expected"),
                       ("text.conf", "cannot write")):
        command = [sys.executable, str(PROJECT / "launch_8p.py"), "--data_path=my data", f"--hccn_conf={name}",
                   "--visible_devices=0"]
        result = subprocess.run(command, cwd=launch.folder, text=True, capture_output=True, check=False, timeout=60)
        assert_one_line_error(result, part)
