"""The instruction-set cap, the device, and the errors in one line."""
import os

import pytest

from src.model_utils import runtime
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.local_adapter import get_device_id
from tests.support.scripts import run_code


@pytest.fixture
def cpuinfo(tmp_path):
    def write(flags):
        path = tmp_path / "cpuinfo"
        path.write_text(f"model name: x\nflags: {flags}\n")
        return path
    return write


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.setenv(runtime.ISA_VARIABLE, "x")   # so that it is restored
    monkeypatch.delenv(runtime.ISA_VARIABLE)


@pytest.mark.parametrize("version, flags, expected", [
    ("2.10.0", "fma avx2 avx512f", "AVX2"), ("2.9.1", "avx512f", "AVX2"), ("2.8.0", "avx512f", None),
    ("2.7.2", "avx512f", None), ("2.10.0", "fma avx2", None)])
def test_cap_where_it_is_needed(cpuinfo, caplog, version, flags, expected):
    caplog.set_level("INFO", "unet")
    runtime.cap_cpu_instruction_set(version, cpuinfo(flags))
    assert os.environ.get(runtime.ISA_VARIABLE) == expected
    assert (runtime.ISA_VARIABLE in caplog.text) == (expected is not None)


def test_cap_leaves_the_users_value(cpuinfo, monkeypatch):
    monkeypatch.setenv(runtime.ISA_VARIABLE, "SSE41")
    runtime.cap_cpu_instruction_set("2.10.0", cpuinfo("avx512f"))
    assert os.environ[runtime.ISA_VARIABLE] == "SSE41"


def test_cap_without_proc(tmp_path):
    runtime.cap_cpu_instruction_set("2.10.0", tmp_path / "nothing")
    assert runtime.ISA_VARIABLE not in os.environ


@pytest.mark.parametrize("target", ["Ascend", "GPU"])
def test_device_that_is_not_there(target):
    from mindspore import hal

    if hal.is_available(target):
        pytest.skip(f"this machine has {target}")
    with pytest.raises(UNetError, match=f"device_target {target}.*--device_target="):
        runtime.start_runtime(parse_options([f"--device_target={target}"], ""))


def test_start_on_the_cpu():
    started = runtime.start_runtime(parse_options(["--device_target=CPU"], ""))
    assert (started.device, started.rank, started.group_size) == ("CPU", 0, 1)


@pytest.mark.parametrize("argv, card", [
    ([], 3), (["--device_id=5"], 5), (["--run_distribute=True"], 3), (["--run_distribute=True", "--device_id=5"], 3)])
def test_card(monkeypatch, tmp_path, caplog, argv, card):
    """With several ranks a device_id, such as that of a YAML file, is not for all of them."""
    monkeypatch.setenv("DEVICE_ID", "3")
    caplog.set_level("INFO", "unet")
    assert runtime.card_number(parse_options(argv, "")) == card
    assert ("device_id 5 is not used" in caplog.text) == (len(argv) == 2)


@pytest.mark.slow
def test_mindspore_loads_after_onnx():
    """Whichever comes first, as it does in prediction."""
    run_code("from src.model_utils.runtime import quiet_mindspore; quiet_mindspore(); import onnx, mindspore")


def test_device_id_of_the_launcher(monkeypatch):
    monkeypatch.setenv("DEVICE_ID", "3")
    assert get_device_id() == 3
    monkeypatch.setenv("DEVICE_ID", "three")
    with pytest.raises(UNetError, match="DEVICE_ID.*'three'"):
        get_device_id()


def test_first_line():
    assert runtime.first_line(ValueError("\n a\nb")) == "a"
    assert runtime.first_line(ValueError()) == "ValueError"
