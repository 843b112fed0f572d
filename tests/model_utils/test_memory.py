"""Memory that is reserved, and memory that is taken."""
import os
import resource

import pytest

from src.model_utils import memory
from tests.support.scripts import run_code

NONE = resource.RLIM_INFINITY


@pytest.mark.parametrize("overcommit, limits, gigabytes, expected", [
    ("0", {}, 24, 8), ("1", {}, 24, 8), ("0", {}, 12, 6), ("0", {}, 3, 0), ("2", {}, 24, 0),
    ("0", {resource.RLIMIT_AS: 10**10}, 24, 0), ("0", {resource.RLIMIT_DATA: 10**10}, 24, 0)])
def test_size_of_the_pool(tmp_path, monkeypatch, overcommit, limits, gigabytes, expected):
    file = tmp_path / "overcommit_memory"
    file.write_text(f"{overcommit}\n")
    monkeypatch.setattr(resource, "getrlimit", lambda limit: (limits.get(limit, NONE), NONE))
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": gigabytes * 2**18, "SC_PAGE_SIZE": 4096}.get)
    assert memory.pool_gb(file) == expected
    assert memory.pool_gb(tmp_path / "nothing") == 0


@pytest.mark.slow
def test_a_block_of_the_pool_is_reserved_and_hardly_touched():
    """In a process of its own, as the pool is settled once; a second start leaves it as it is."""
    wanted = memory.pool_gb()
    if not wanted:
        pytest.skip("this machine's memory is small, or counted when it is reserved")
    script = ("import mindspore as ms; from src.model_utils import runtime; "
              "from src.model_utils.config import parse_options; "
              "[runtime.start_runtime(parse_options(['--device_target=CPU'], '')) for _ in range(2)]; "
              "(ms.Tensor([1.0]) + 1).asnumpy(); print(open('/proc/self/status').read())")
    lines = run_code(script).splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
    assert kilobytes["VmData"] > wanted * 2**20
    assert kilobytes["VmHWM"] < 2**20


@pytest.mark.parametrize("variables, expected", [({}, 1), ({"GLIBC_TUNABLES": "x"}, 0)])
def test_the_users_choice_for_the_c_library_stays(monkeypatch, variables, expected):
    calls = []
    monkeypatch.setattr(memory, "_call_c_library", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(memory, "pool_gb", lambda: 0)
    for name in memory.MALLOC_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    memory.save_memory()
    assert len(calls) == expected


def test_a_c_library_without_the_function():
    """Neither musl nor macOS has mallopt: nothing happens."""
    assert memory._call_c_library("unet_no_such_function", 1) is None


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("limit, expected", [(None, 4096000), ("max", 4096000), ("1000000", 650000), ("100", 1)])
def test_available_memory_is_what_the_container_has_left(tmp_path, version, limit, expected):
    """600,000 bytes are in use, of which 250,000 hold files."""
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 4000 kB\n")
    group = tmp_path / ("job" if version == 2 else "memory/job")
    group.mkdir(parents=True)
    (tmp_path / "membership").write_text("0::/job/step\n" if version == 2 else "4:cpu:/\n7:memory:/job/step\n")
    names = ("max", "current", "inactive_file") if version == 2 else (
        "limit_in_bytes", "usage_in_bytes", "total_inactive_file")
    if limit:
        for name, text in zip(names, (limit, "600000")):
            (group / f"memory.{name}").write_text(f"{text}\n")
        (group / "memory.stat").write_text(f"anon 350000\n{names[2]} 250000\n")
    assert memory.available_bytes(tmp_path / "meminfo", str(tmp_path), str(tmp_path / "membership")) == expected
    assert memory.available_bytes(tmp_path / "nothing") == 0
