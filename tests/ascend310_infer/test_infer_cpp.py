"""C++ inference: the program in MindSpore Lite's real runtime."""
import json
import os
import re
import shutil
import signal

import numpy as np
import pytest

from src.export.export import LARGEST_DIFFERENCE, largest_difference
from tests.support.lite import MODELS, as_release, assert_refused, write_images
from tests.support.owners import foreign_link
from tests.support.scripts import PROJECT, assert_one_line_error, bash, call

pytestmark = pytest.mark.slow


def test_build_from_nothing_and_again(lite, tmp_path):
    """In the layout of a release package, in a folder elsewhere; ``program`` is built in that of the wheel."""
    folder = tmp_path / "a folder"
    shutil.copytree(PROJECT / "ascend310_infer", folder, ignore=shutil.ignore_patterns("build"))
    environment = {"MS_LITE_HOME": str(as_release(lite, tmp_path / "release 2.0").resolve()), "cwd": tmp_path,
                   "UNET_INFER_BUILD": "built here"}
    first = bash(folder / "build.sh", **environment)
    assert first.returncode == 0 and "Building CXX" in first.stdout, first.stderr
    assert re.search("MindSpore Lite: .*/runtime/lib/libmindspore-lite.so", first.stdout)
    assert "warning" not in first.stdout + first.stderr
    second = bash(folder / "build.sh", **environment)
    assert second.returncode == 0 and "Building CXX" not in second.stdout
    assert call(tmp_path / "built here" / "unet_infer", "--help").stdout.startswith("Runs a U-Net in MINDIR format")
    assert not (folder / "build").exists()
    result = bash(folder / "build.sh", **{**environment, "UNET_INFER_BUILD": "built here/unet_infer/x"})
    assert_one_line_error(result, "cannot write into built here/unet_infer/x; name another", "with UNET_INFER_BUILD")


def test_softmax(infer, expected, tmp_path):
    result = infer("--device_type=CPU", "--threads=1", "--device_id=0")
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert sorted(os.listdir(tmp_path / "out")) == ["0_0.bin", "1_0.bin"]
    for number, probabilities in enumerate(expected["simple_probabilities"]):
        found = np.fromfile(tmp_path / "out" / f"{number}_0.bin", np.float32).reshape(probabilities.shape)
        assert np.abs(found - probabilities).max() < LARGEST_DIFFERENCE


def test_a_link_in_the_place_of_a_result_is_replaced(infer, tmp_path):
    """What it points at stays as it is."""
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "0_0.bin").symlink_to(tmp_path / "victim")
    assert infer("--device_type=CPU").returncode == 0
    assert not (tmp_path / "out" / "0_0.bin").is_symlink() and (tmp_path / "victim").read_text() == "mine"


def test_argmax_in_batches(infer, expected, tmp_path):
    """Three images in batches of two; a name is cut at its last dot; label.npy and hidden files are no inputs."""
    names = ["a.b.bin", "c 1.bin", "d.png.bin"]
    folder = write_images(tmp_path / "batches", expected["nested_images"], names)
    for name in ("label.npy", ".d.123.bin", "notes.txt"):
        (folder / name).write_text("none")
    (folder / "sub.bin").mkdir()
    result = infer(model=MODELS / "nested.mindir", inputs=folder)
    assert result.returncode == 0, result.stderr
    assert sorted(os.listdir(tmp_path / "out")) == ["a.b_0.bin", "c 1_0.bin", "d.png_0.bin"]
    for name, probabilities in zip(names, expected["nested_probabilities"]):
        found = np.fromfile(tmp_path / "out" / name.replace(".bin", "_0.bin"), np.int32)
        assert largest_difference(found.reshape(1, 16, 32), probabilities[None]) < LARGEST_DIFFERENCE


def test_a_crash_says_what_was_logged_last(infer, tmp_path):
    """The C library is made to end the program like a fault in MindSpore Lite, in the middle of its log."""
    (tmp_path / "crash.c").write_text("""
#include <stdio.h>
#include <stdlib.h>
int fsync(int file) {
  (void)file;
  fprintf(stderr, "[WARNING] ME(1): before\\n[ERROR] ME(1,2,a):2026 [b.cc:7] Run] op \\033[31mConv2D\\n\\n");
  abort();
}
""")
    assert call("cc", "-shared", "-fPIC", "-o", "crash.so", "crash.c", cwd=tmp_path).returncode == 0
    result = infer(LD_PRELOAD=str(tmp_path / "crash.so"))
    assert result.returncode == -signal.SIGABRT
    assert result.stderr == ("error: the program crashed in MindSpore Lite (signal 6); it last logged: [ERROR] "
                             "ME(1,2,a):2026 [b.cc:7] Run] op ?[31mConv2D\n")
    assert os.listdir(tmp_path / "out") in ([], [name for name in os.listdir(tmp_path / "out") if name[0] == "."])


def test_numeric_order(infer, expected, tmp_path):
    """A result that cannot be written ends the run: those before it are there, those after it are not."""
    order = ["ISBI_1", "ISBI_02", "ISBI_2", "ISBI_10", "ISBI_10a", "JSBI_3", "x", "x_1"]     # "02" is 2
    images = np.concatenate([expected["simple_images"]] * 4)
    write_images(tmp_path / "many", images, [f"{stem}.bin" for stem in order])
    for place in (1, 2, 3, 5, 7):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out" / f"{order[place]}_0.bin").mkdir(parents=True)
        assert infer(inputs="many").returncode == 2
        assert set(os.listdir(tmp_path / "out")) == {f"{stem}_0.bin" for stem in order[:place + 1]}


def test_times(infer, tmp_path):
    result = infer()
    text = (tmp_path / "time_Result" / "test_perform_static.txt").read_text()
    assert text in result.stdout
    mean, count = re.match(r"NN inference cost average time: (.+) ms of infer_count (\d+)\n", text).groups()
    numbers = dict(re.findall(r"^(median|p95|batch size|images per second): ([\d.]+)", text, re.MULTILINE))
    assert int(count) == 2 and numbers["batch size"] == "1" and float(numbers["images per second"]) > 0
    assert float(mean) == pytest.approx(float(numbers["median"]), abs=2e-3)
    assert float(numbers["p95"]) >= float(numbers["median"])


def cut(path, data):
    path.write_bytes(data[:len(data) // 2])


def not_mindir(path, data):
    path.write_bytes(b"GIF89a" + data)


def onnx(path, data):
    path.write_bytes(b"\x08\x07" + data)


def empty(path, data):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage, part, status", [
    (cut, "MindSpore Lite cannot load it for CPU: ", 1), (not_mindir, "not a MindIR file", 2),
    (onnx, "onnx_to_mindir.sh", 2), (empty, "not a MindIR file", 2),
    (lambda path, data: None, "no such MindIR file", 2)])
def test_damaged_models(infer, tmp_path, damage, part, status):
    damage(tmp_path / "bad.mindir", (MODELS / "simple.mindir").read_bytes())
    assert_refused(infer(model="bad.mindir"), tmp_path, status, "bad.mindir", part)


def test_cut_anywhere(infer, tmp_path):
    data = (MODELS / "simple.mindir").read_bytes()
    for size in np.random.default_rng(0).integers(1, len(data), 10):
        (tmp_path / "bad.mindir").write_bytes(data[:size])
        result = infer(model="bad.mindir")
        assert_refused(result, tmp_path, result.returncode, "bad.mindir")
        assert result.returncode in {1, 2}


def test_model_of_a_newer_mindspore(infer, tmp_path):
    import mindspore as ms
    from mindspore import Tensor, nn

    ms.export(nn.ReLU(), Tensor(np.zeros((1, 1, 32, 48), np.float32)), file_name=str(tmp_path / "new.mindir"),
              file_format="MINDIR")
    result = infer(model="new.mindir")
    if result.returncode == 0:
        pytest.skip("this MindSpore Lite reads what this MindSpore writes")
    assert_refused(result, tmp_path, 1, "maximum mind ir version", "onnx_to_mindir.sh")


def test_wrong_inputs(infer, tmp_path):
    wrong = tmp_path / "in" / "1.bin"
    wrong.write_bytes(bytes(6143))
    # All are looked at before the first runs.
    assert_refused(infer(), tmp_path, 2, "in/1.bin: 6143 bytes found, expected 6144", "float32 (1, 1, 32, 48)")
    wrong.write_bytes(bytes(6145))
    assert_refused(infer(), tmp_path, 2, "6145 bytes found")
    assert_refused(infer(inputs="none"), tmp_path, 2, "no such folder of inputs: none")
    (tmp_path / "empty").mkdir()
    assert_refused(infer(inputs="empty"), tmp_path, 2, "empty: no .bin file", "--result_format=bin")
    assert_refused(infer("--result_path=in"), tmp_path, 2, "two folders")


@pytest.mark.parametrize("arguments, part", [
    (["--device_type=NPU"], "expected Ascend, GPU or CPU, found 'NPU'"), (["--device_id=x"], "found 'x'"),
    (["--device_id=-1"], "--device_id"), (["--threads=0"], "from 1 to 1024, found '0'"), (["--threads"], "missing"),
    (["--thread=2"], "unknown argument '--thread=2'"), (["more"], "'more'"), (["--mindir_path="], "empty"),
    (["--need_preprocess=yes"], "expected y or n, found 'yes'"), (["--input_range=0,2"], "expected [-1,1] or [0,1]")])
def test_wrong_arguments(infer, tmp_path, arguments, part):
    assert_refused(infer(*arguments), tmp_path, 2, part)


def test_what_is_said_beside_the_model(infer, expected, tmp_path):
    """input_range and normalize of MODEL.json hold; arguments and inputs that contradict them are refused."""
    model = shutil.copy(MODELS / "simple.mindir", tmp_path)
    beside = tmp_path / "simple.mindir.json"
    beside.write_text(json.dumps({"model_name": "unet_simple", "input_range": [0, 1], "normalize": "zscore"}, indent=1))
    assert infer(model=model).returncode == 0
    shutil.rmtree(tmp_path / "out")
    shutil.rmtree(tmp_path / "time_Result")
    assert_refused(infer("--input_range=[-1,1]", model=model), tmp_path, 2,
                   f"--input_range is [-1,1], but {beside} says [0,1]; leave it out")
    (tmp_path / "in" / "2.png").write_bytes(b"")
    assert_refused(infer("--need_preprocess=y", model=model), tmp_path, 2,
                   "trained with normalize zscore, which this program cannot do to pictures")
    for about, reason in (({"channels": [2, 1]}, "channels [2,1]"),
                          ({"geometry": {"dataset": "ISBI", "input": [572, 572], "content": [388, 388]}},
                           "images of [388,388] in inputs of [572,572]")):
        beside.write_text(json.dumps({"normalize": "range", **about}, indent=1))
        assert_refused(infer("--need_preprocess=y", model=model), tmp_path, 2, f"trained with {reason}, which")
    beside.write_text("{")
    assert_refused(infer(model=model), tmp_path, 2, f"{beside}: damaged")


def test_the_longest_name(infer, tmp_path):
    name = "a" * 248        # with _0.bin 254 bytes
    (tmp_path / "in" / "0.bin").rename(tmp_path / "in" / f"{name}.bin")
    result = infer()
    assert result.returncode == 0, result.stderr
    assert f"{name}_0.bin" in os.listdir(tmp_path / "out")


def test_results_do_not_go_through_a_link_of_another_user(infer, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    foreign_link(tmp_path / "out", tmp_path / "own", monkeypatch)
    if os.lstat(tmp_path / "out").st_uid == os.getuid():
        pytest.skip("only root can make a link of another user")
    result = infer()
    assert result.returncode == 2 and "out: a link of user" in result.stderr, result.stderr
    assert not os.listdir(tmp_path / "own")


@pytest.mark.parametrize("device", ["GPU", "Ascend"])
def test_device_that_is_not_there(infer, tmp_path, device):
    result = infer(f"--device_type={device}", "--device_id=1")
    if result.returncode == 0:
        pytest.skip(f"there is an {device} card here")
    assert_refused(result, tmp_path, 1, f"cannot load it for {device}")


def test_results_that_cannot_be_written(infer, tmp_path):
    (tmp_path / "out").write_text("a file")
    result = infer()
    assert result.returncode == 2 and result.stderr.startswith("error: cannot make the folder out: "), result.stderr
    (tmp_path / "out").unlink()
    (tmp_path / "out" / "1_0.bin").mkdir(parents=True)
    result = infer()
    assert result.returncode == 2 and re.fullmatch(r"error: cannot write out/1_0.bin: .+\n", result.stderr)
    assert sorted(os.listdir(tmp_path / "out")) == ["0_0.bin", "1_0.bin"]      # nothing beside them
