"""When the compiled operators are used, and when not; how they are built."""
import shutil

import pytest

from src.cpu_ops import build
from src.model_utils.errors import UNetError
from src.networks.layers import MINDSPORE, Layers
from tests.support.networks import backend_of
from tests.support.operators import agree
from tests.support.scripts import run_code


@pytest.mark.parametrize("option, device, mode, level, reason", [
    ("off", "CPU", "graph", "O0", "cpu_ops is off"), ("auto", "CPU", "pynative", "O0", "graph mode"),
    ("auto", "CPU", "graph", "O3", "amp_level is O3"), ("auto", "Ascend", "graph", "O3", None),
    ("auto", "GPU", "graph", "O0", None)])
def test_stock_layers_with_a_reason(option, device, mode, level, reason, caplog, monkeypatch):
    monkeypatch.setattr("src.cpu_ops.cap_cpu_instruction_set", lambda: None)
    caplog.set_level("INFO", "unet")
    assert backend_of(f"--cpu_ops={option}", f"--context_mode={mode}", device=device, amp_level=level) is MINDSPORE
    assert reason is None or reason in caplog.text


@pytest.mark.slow
def test_no_compiler(monkeypatch, caplog, fast):
    monkeypatch.setattr("src.cpu_ops.cap_cpu_instruction_set", lambda: None)
    monkeypatch.setenv("CXX", "no-such-compiler")
    caplog.set_level("INFO", "unet")
    assert backend_of() is MINDSPORE
    assert "no C++ compiler was found (no-such-compiler)" in caplog.text
    with pytest.raises(UNetError, match="cpu_ops is on, but .* no C"):
        backend_of("--cpu_ops=on")


@pytest.mark.slow
def test_compiler_that_fails(monkeypatch, tmp_path, fast):
    compiler = tmp_path / "broken"
    compiler.write_text("#!/bin/sh\necho 'x.cc:1: error: nothing works' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(build.CannotBuild, match="nothing works"):
        build.build_library()
    assert not list((tmp_path / "cache").rglob("*.so"))


def test_headers_that_are_missing(monkeypatch):
    monkeypatch.setattr(build, "HEADERS", "no-such-package")
    with pytest.raises(build.CannotBuild, match="pip install no-such-package"):
        build._find_headers()


@pytest.mark.slow
def test_cache_that_cannot_be_written(monkeypatch, tmp_path, fast):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UNetError, match="cannot write into the cache"):
        build.build_library()


def test_a_library_that_others_can_write(fast, monkeypatch, tmp_path, caplog):
    """auto passes over it with a warning, and on refuses it; it is never loaded."""
    monkeypatch.setattr("src.cpu_ops.cap_cpu_instruction_set", lambda: None)
    monkeypatch.setattr(build, "PORTABLE_FLAGS", set())
    monkeypatch.setenv("UNET_CPU_OPS", str(tmp_path))
    planted = tmp_path / build._name_ahead()
    planted.write_bytes(b"code of another user")
    planted.chmod(0o666)
    assert backend_of() is MINDSPORE
    assert "WARNING: " in caplog.text and "other users can write it (mode 666)" in caplog.text
    with pytest.raises(UNetError, match="cpu_ops is on, but .* other users can write it"):
        backend_of("--cpu_ops=on")


@pytest.mark.slow
def test_second_build_is_the_first(fast):
    assert build.build_library() == build.build_library() == fast.operators.library


@pytest.mark.slow
def test_operators_compiled_ahead(monkeypatch, tmp_path, fast):
    """What a container's image holds serves without a compiler, where the processor can run it."""
    monkeypatch.setattr(build, "FLAGS", ["-O0", *build.FLAGS[1:]])      # for the test's own speed
    build.build_ahead(tmp_path)
    made, = tmp_path.iterdir()
    monkeypatch.setenv("UNET_CPU_OPS", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with monkeypatch.context() as patch:
        patch.setattr(build, "_cpu_flags", lambda: "flags : sse2 avx")
        with pytest.raises(build.CannotBuild, match="no-such-compiler"):
            build.build_library()
    if not set(build._cpu_flags().split()) >= build.PORTABLE_FLAGS:
        pytest.skip("this processor lacks what the operators of an image need")
    assert build.build_library() == str(made)
    agree(type(fast)(str(made)), lambda layers: layers.conv(1, 4, 3, "same", True, "normal"), [(1, 1, 8, 8)])
    made.rename(tmp_path / "unet_cpu_ops-of-another-version.so")
    with pytest.raises(build.CannotBuild, match="no-such-compiler"):
        build.build_library()


@pytest.mark.slow
def test_layer_sets_have_the_same_factories(fast):
    own = {name for name in dir(Layers) if not name.startswith("_")}
    assert own <= set(dir(fast))


# Runs one operator of a library without MindSpore, and prints how many threads that has started.
ONE_OPERATOR = """
import ctypes, os, sys
import numpy as np
library, count = ctypes.CDLL(sys.argv[1]), int(sys.argv[2])
arrays = [np.ones((1, 64, 64, 4), np.float32) for _ in range(3)]
shape = (ctypes.c_int64 * 4)(*arrays[0].shape)
before = len(os.listdir("/proc/self/task"))
library.unet_set_threads(count)
status = library.unet_relu_backward(
    3, (ctypes.c_void_p * 3)(*[array.ctypes.data for array in arrays]), (ctypes.c_int * 3)(4, 4, 4),
    (ctypes.POINTER(ctypes.c_int64) * 3)(shape, shape, shape), (ctypes.c_char_p * 3)(*[b"float32"] * 3), None, None)
print(status, len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.parametrize("count", [1, 3])
def test_operators_start_as_many_threads_as_they_may_use(fast, count):
    """The calling thread is one of them."""
    assert run_code(ONE_OPERATOR, fast.operators.library, str(count)) == f"0 {count - 1}\n"


def test_the_compiler_that_the_user_names(monkeypatch, tmp_path):
    """A path with blanks, or a command of several words."""
    compiler = tmp_path / "my tools"
    compiler.write_text("")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    assert build._find_compiler() == [str(compiler)]
    monkeypatch.setenv("CXX", "env g++ -O1")
    assert build._find_compiler() == [shutil.which("env"), "g++", "-O1"]
    for wrong in ("'", "no-such-compiler"):
        monkeypatch.setenv("CXX", wrong)
        with pytest.raises(build.CannotBuild, match=wrong):
            build._find_compiler()
