"""The cache of checkpoints as ONNX files."""
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from src.export.onnx_cache import as_onnx
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.files import temporary_path
from src.training import checkpoint
from tests.support.networks import network_of
from tests.support.scripts import assert_one_line_error, run_here

SMALL = ["--model_name=unet_simple", "--weight_init=he_uniform", "--device_target=CPU"]


@pytest.fixture
def argv(narrow_networks, tmp_path):
    """Options to predict the mask of one picture with a checkpoint of random weights."""
    checkpoint.save(network_of(SMALL), tmp_path / "simple.ckpt", {"step": 1, "scale": 1.0})
    Image.fromarray(np.full((20, 30), 9, np.uint8)).save(tmp_path / "one.png")
    return [*SMALL, f"--checkpoint_file_path={tmp_path / 'simple.ckpt'}", f"--data_path={tmp_path / 'one.png'}",
            f"--output_path={tmp_path / 'out'}"]


@pytest.mark.slow
def test_one_file_serves_windows_of_any_size(argv, tmp_path, monkeypatch):
    """Same convolutions; a network of valid ones has a file for each size of its windows."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def files(options):
        config = parse_options(options, "")
        return as_onnx(config, [tmp_path / f"{config.model_name[5:]}.ckpt"])
    assert files([*argv, "--tile_size=288"]) == files([*argv, "--tile_size=768", "--image_size=[64,64]"])
    medical = ["--model_name=unet_medical", "--weight_init=he_uniform", "--device_target=CPU"]
    checkpoint.save(network_of(medical), tmp_path / "medical.ckpt", {"step": 1, "scale": 1.0})
    assert "-188x188-" in files([*medical, "--tile_size=188"])[0].name
    assert len(list((tmp_path / "cache" / "unet_mindspore" / "onnx").glob("[!.]*"))) == 2


@pytest.mark.slow
def test_a_broken_file_is_made_again_and_old_ones_go(argv, tmp_path, monkeypatch):
    """A killed process' leftovers too; two processes at once get the same whole file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "unet_mindspore" / "onnx"
    config = parse_options([*argv, "--cache_gb=0"], "")
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: as_onnx(config, [tmp_path / "simple.ckpt"]), range(2))
    assert first == second and len(list(folder.glob("[!.]*"))) == 1
    file = first[0]
    content = file.read_bytes()
    file.write_bytes(content[:1000])
    old, recent = (folder / f"{name}-any-0123456789abcdef.onnx" for name in ("old", "recent"))
    for path in (old, recent):
        path.write_bytes(b"other")
    os.utime(old, times=(0, 0))
    monkeypatch.setattr(os, "getpid", lambda: 2**22 + 1)      # above the numbers of processes
    temporary_path(folder / "killed").mkdir()
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert as_onnx(config, [tmp_path / "simple.ckpt"]) == first
    assert file.read_bytes() == content
    # Another process may be using what was used in the last hour.
    assert sorted(os.listdir(folder)) == sorted([".lock", file.name, recent.name])


@pytest.mark.slow
def test_without_a_cache_mindspore_runs_the_checkpoint(run, argv, tmp_path):
    """A cache that cannot be written stops nobody who has not asked for ONNX."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "unet_mindspore").touch()
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    result = run("predict.py", *argv, "--cpu_ops=off", **environment)
    assert result.returncode == 0, result.stderr
    assert "MindSpore runs the checkpoint, as no ONNX file could be made of it: cannot write" in result.stdout
    assert_one_line_error(run("predict.py", *argv, "--backend=onnx", **environment), "cannot write")


@pytest.mark.slow
def test_the_cache_is_used_without_mindspore(run, argv, tmp_path, monkeypatch):
    """What the first run has exported serves the second without MindSpore; damaged checkpoints are named."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert run_here("predict.py", *argv, "--backend=onnx").returncode == 0
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "mindspore.py").write_text("raise ImportError('MindSpore was imported')")
    result = run("predict.py", *argv, "--backend=onnx", XDG_CACHE_HOME=str(tmp_path / "cache"),
                 PYTHONPATH=str(tmp_path / "blocked"))
    assert result.returncode == 0, result.stderr
    result = run_here("predict.py", *argv, "--device_target=GPU")
    assert_one_line_error(result, "device_target GPU: this MindSpore supports only CPU")
    (tmp_path / "bad.ckpt").write_bytes((tmp_path / "simple.ckpt").read_bytes()[:5000])
    result = run_here("predict.py", *argv, f"--checkpoint_file_path={tmp_path / 'bad.ckpt'}")
    assert_one_line_error(result, "bad.ckpt", "not a whole MindSpore checkpoint")


def test_a_cache_that_others_can_write(tmp_path, monkeypatch, caplog):
    """auto passes over it with a warning, and onnx refuses it; nothing is exported into it."""
    caplog.set_level("INFO", "unet")
    (tmp_path / "simple.ckpt").write_bytes(b"any")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    monkeypatch.setenv("UNET_CACHE_DIR", str(tmp_path / "cache"))
    assert as_onnx(parse_options([*SMALL, "--backend=auto"], ""), [tmp_path / "simple.ckpt"]) is None
    assert "WARNING: MindSpore runs the checkpoint, as no ONNX file could be made of it" in caplog.text
    with pytest.raises(UNetError, match="cache is not used: other users can write it"):
        as_onnx(parse_options([*SMALL, "--backend=onnx"], ""), [tmp_path / "simple.ckpt"])
    assert not list((tmp_path / "cache").iterdir())
