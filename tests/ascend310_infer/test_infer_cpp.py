"""C++ inference: the program in MindSpore Lite's real runtime, and the launchers around it."""
import os
import re
import shutil

import numpy as np
import pytest

from src.export.export import LARGEST_DIFFERENCE, largest_difference
from src.model_utils.config import parse_options
from src.networks.registry import NetworkSpec, build_network
from src.training import checkpoint
from tests.support.data import write_pairs
from tests.support.lite import MODELS, as_release, write_images
from tests.support.scripts import PROJECT, SCRIPTS, assert_one_line_error, bash, call, run

pytestmark = pytest.mark.slow

# ---- the program


def test_build_from_nothing_and_again(lite, tmp_path):
    """In the layout of a release package; ``program`` is built in that of the wheel."""
    folder = tmp_path / "a folder"
    shutil.copytree(PROJECT / "ascend310_infer", folder, ignore=shutil.ignore_patterns("build"))
    environment = {"MS_LITE_HOME": str(as_release(lite, tmp_path / "release 2.0").resolve()), "cwd": tmp_path}
    first = bash(folder / "build.sh", **environment)
    assert first.returncode == 0 and "Building CXX" in first.stdout, first.stderr
    assert re.search("MindSpore Lite: .*/runtime/lib/libmindspore-lite.so", first.stdout)
    assert "warning" not in first.stdout + first.stderr
    second = bash(folder / "build.sh", **environment)
    assert second.returncode == 0 and "Building CXX" not in second.stdout
    assert call(folder / "build" / "unet_infer", "--help").stdout.startswith("Runs a U-Net in MINDIR format")


def test_softmax(infer, expected, tmp_path):
    result = infer("--device_type=CPU", "--threads=1", "--device_id=0")
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert sorted(os.listdir(tmp_path / "out")) == ["0_0.bin", "1_0.bin"]
    for number, probabilities in enumerate(expected["simple_probabilities"]):
        found = np.fromfile(tmp_path / "out" / f"{number}_0.bin", np.float32).reshape(probabilities.shape)
        assert np.abs(found - probabilities).max() < LARGEST_DIFFERENCE


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
    assert float(mean) == pytest.approx(float(numbers["median"]), abs=2e-3) and numbers["p95"] >= numbers["median"]


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


def assert_refused(result, folder, status, *parts):
    """One line on standard error, and no result."""
    assert result.returncode == status, result.stdout + result.stderr
    assert re.fullmatch(r"error: [^\n]+\n", result.stderr), result.stderr
    assert all(str(part) in result.stderr for part in parts), result.stderr
    assert not (folder / "out").exists() and not (folder / "time_Result").exists()


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
    (["--thread=2"], "unknown argument '--thread=2'"), (["more"], "'more'"), (["--mindir_path="], "empty")])
def test_wrong_arguments(infer, tmp_path, arguments, part):
    assert_refused(infer(*arguments), tmp_path, 2, part)


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


# ---- the launchers


CONFIGS = {
    "unet": ["--model_name=unet_simple", "--image_size=[96,96]"],
    "yaml": ["--dataset=Cell_nuclei", "--model_name=unet_nested", "--num_channels=3", "--use_bn=False",
             "--use_ds=False", "--image_size=[48,32]"],
}


@pytest.mark.parametrize("case", CONFIGS)
def test_end_to_end(program, converter, sample, tmp_path, case):
    """Stacks by the name of the network and the environment, folders by a YAML file: the score of eval.py."""
    data = sample if case == "unet" else write_pairs(tmp_path / "data", [f"n.{number}" for number in range(12)])
    argv = [*CONFIGS[case], f"--data_path={data}", f"--output_path={tmp_path / 'eval'}"]
    config = parse_options([*argv, "--weight_init=he_uniform"], "")
    checkpoint.save(build_network(NetworkSpec.from_config(config)), tmp_path / "x.ckpt", {"step": 1})
    by_eval = run("eval.py", *argv, f"--ckpt_path={tmp_path / 'x.ckpt'}", cwd=tmp_path)
    width, height = config.image_size
    result = run("export.py", *argv, f"--ckpt_path={tmp_path / 'x.ckpt'}", "--file_format=ONNX", "--batch_size=2",
                 f"--file_name={tmp_path / 'x.onnx'}", f"--width={width}", f"--height={height}", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "a run"
    folder.mkdir()
    result = bash(SCRIPTS / "onnx_to_mindir.sh", "../x.onnx", "made here/x", cwd=folder)
    assert result.returncode == 0, result.stderr
    # Of an earlier run.
    (folder / "result_Files").mkdir()
    (folder / "result_Files" / "old_0.bin").write_bytes(b"old")

    environment = {"DATA_PATH": str(data), "OUTPUT_PATH": "scores", "IMAGE_SIZE": "[96,96]"}
    network = "unet"
    if case == "yaml":
        config.replace(output_path="scores").save(folder / "my net.yaml")
        network, environment = "my net.yaml", {}
    arguments = [network, "made here/x.mindir", "y", "CPU", "0"]
    result = bash(SCRIPTS / "run_infer_cpp.sh", *arguments, cwd=folder, **environment)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert dice(result.stdout) == pytest.approx(dice(by_eval.stdout), abs=1e-4)
    assert dice((folder / "acc.log").read_text()) == dice(result.stdout)
    assert "NN inference cost average time" in (folder / "infer.log").read_text()

    # Again without preprocessing; and a step that fails ends it all with its status.
    arguments[2] = "n"
    again = bash(SCRIPTS / "run_infer_cpp.sh", *arguments, cwd=folder, **environment)
    assert dice(again.stdout) == dice(result.stdout)
    next((folder / "preprocess_Result").glob("*.bin")).write_bytes(b"")
    result = bash(SCRIPTS / "run_infer_cpp.sh", *arguments, cwd=folder, **environment)
    assert result.returncode == 2 and "Cross valid" not in result.stdout
    assert "0 bytes found" in result.stderr and "step infer failed with status 2" in result.stderr


def dice(text):
    return float(re.search(r"^============== Cross valid dice coeff is: (.*)$", text, re.MULTILINE)[1])


@pytest.mark.parametrize("script, arguments, part", [
    ("run_infer_cpp.sh", [], "Usage: "), ("run_infer_cpp.sh", ["unet"] * 6, "Usage: "),
    ("run_infer_cpp.sh", ["unet3", "MODEL", "y", "CPU"], "found 'unet3'"),
    ("run_infer_cpp.sh", ["none.yaml", "MODEL", "y", "CPU"], "NETWORK: no such file: none.yaml"),
    ("run_infer_cpp.sh", ["unet", "none", "y", "CPU"], "no such MindIR file: none"),
    ("run_infer_cpp.sh", ["unet", "MODEL", "yes", "CPU"], "found 'yes'"),
    ("run_infer_cpp.sh", ["unet++", "MODEL", "y", "TPU"], "found 'TPU'"),
    ("run_infer_cpp.sh", ["unet", "MODEL", "y", "CPU", "one"], "found 'one'"),
    ("run_infer_310.sh", ["unet", "MODEL"], "Usage: "), ("run_infer_310.sh", ["unet", "MODEL", "y", "0"], "found '0'"),
    ("onnx_to_mindir.sh", ["one"], "Usage: "),
    ("onnx_to_mindir.sh", ["none.onnx", "x"], "no such ONNX file: none.onnx"),
    ("onnx_to_mindir.sh", ["MODEL", "x"], "no Python wheel of MindSpore Lite at /none"),
    ("get_mindspore_lite.sh", ["a", "b"], "Usage: "),
    ("get_mindspore_lite.sh", ["."], "is not MindSpore Lite's wheel"),
    ("../ascend310_infer/build.sh", ["x"], "Usage: "),
    ("../ascend310_infer/build.sh", [], "no MindSpore Lite at /none"),
])
def test_wrong_use_of_the_launchers(tmp_path, script, arguments, part):
    model = str(MODELS / "simple.mindir")
    result = bash(SCRIPTS / script, *(model if value == "MODEL" else value for value in arguments), cwd=tmp_path,
                  MS_LITE_HOME="/none")
    assert result.returncode == 2 and part in result.stderr, result.stderr
    assert os.listdir(tmp_path) == []


def test_data_that_are_not_there(tmp_path):
    result = bash(SCRIPTS / "run_infer_cpp.sh", "unet++", MODELS / "nested.mindir", "y", "CPU", cwd=tmp_path,
                  DATA_PATH="/none")
    assert result.returncode == 2 and "step preprocess failed with status 2" in result.stderr
    assert "/none" in result.stderr and sorted(os.listdir(tmp_path)) == ["preprocess.log"]


def test_wheel_that_is_there_already(lite, tmp_path):
    if not (lite / "mindspore_lite").is_dir():
        pytest.skip("MS_LITE_HOME is no wheel")
    # An interpreter that fails: nothing is to be fetched.
    result = bash(SCRIPTS / "get_mindspore_lite.sh", lite, PYTHON="/bin/false")
    assert result.returncode == 0 and "there already" in result.stdout


def test_file_that_cannot_be_converted(converter, tmp_path):
    (tmp_path / "x.onnx").write_text("no network")
    result = bash(SCRIPTS / "onnx_to_mindir.sh", tmp_path / "x.onnx", tmp_path / "x.mindir")
    assert result.returncode == 1 and f"Converter model failed! model_file is {tmp_path / 'x.onnx'}" in result.stderr
    result = bash(SCRIPTS / "onnx_to_mindir.sh", tmp_path / "x.onnx", tmp_path / "x", PYTHON37="/bin/false",
                  PYENV_ROOT="/none")
    assert_one_line_error(result, "no CPython 3.7", "PYTHON37")
    assert os.listdir(tmp_path) == ["x.onnx"]
