"""How many threads a process may use: affinity, quota, ranks, OMP_NUM_THREADS."""
import os

import pytest

from src.model_utils.processors import usable_processors

VARIABLES = ("OMP_NUM_THREADS", "OMPI_COMM_WORLD_LOCAL_SIZE", "LOCAL_WORKER_NUM", "MS_WORKER_NUM", "MSRUN_CPU_LIST")


@pytest.fixture
def usable(tmp_path, monkeypatch):
    """``usable_processors`` on 16 processors, with these variables and files of control groups."""
    def usable(groups="", files=(), **environment):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
        (tmp_path / "membership").write_text(groups)
        for name, text in dict(files).items():
            (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "fs" / name).write_text(text)
        return usable_processors(str(tmp_path / "fs"), str(tmp_path / "membership"))
    return usable


@pytest.mark.parametrize("environment, count", [
    ({}, 16), ({"OMP_NUM_THREADS": "3"}, 3), ({"OMP_NUM_THREADS": "4,2"}, 4), ({"OMP_NUM_THREADS": "64"}, 16),
    ({"OMP_NUM_THREADS": "many"}, 16), ({"OMP_NUM_THREADS": "0"}, 1), ({"MS_WORKER_NUM": "2"}, 8),
    ({"MS_WORKER_NUM": "8", "LOCAL_WORKER_NUM": "4"}, 4), ({"OMPI_COMM_WORLD_LOCAL_SIZE": "5"}, 3),
    ({"MS_WORKER_NUM": "32"}, 1), ({"MS_WORKER_NUM": "8", "MSRUN_CPU_LIST": "0-15"}, 16)])
def test_variables(usable, environment, count):
    assert usable(**environment) == count


@pytest.mark.parametrize("groups, files, count", [
    ("0::/\n", {"cpu.max": "250000 100000\n"}, 2),
    ("0::/\n", {"cpu.max": "max 100000\n"}, 16),
    ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
    ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),      # of the group above
    ("0::/not/visible\n", {"cpu.max": "400000 100000\n"}, 4),
    ("7:cpu,cpuacct:/docker/x\n0::/\n", {"cpu,cpuacct/docker/x/cpu.cfs_quota_us": "600000\n",
                                         "cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n"}, 6),
    ("1:cpu:/x\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 16),
    ("3:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 16)])
def test_quota(usable, groups, files, count):
    assert usable(groups, files) == count


def test_ranks_share_the_quota(usable):
    assert usable("0::/\n", {"cpu.max": "800000 100000\n"}, MS_WORKER_NUM="2") == 4
    assert usable("0::/\n", {"cpu.max": "800000 100000\n"}, MS_WORKER_NUM="2", MSRUN_CPU_LIST="0-15") == 4
    assert usable("0::/\n", {"cpu.max": "800000 100000\n"}, MS_WORKER_NUM="2", OMP_NUM_THREADS="1") == 1
