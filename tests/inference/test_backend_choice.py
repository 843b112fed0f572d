"""The choice of the fastest backend: measured once, kept for this network and processor."""
import json

import numpy as np
import pytest
from PIL import Image

from src.inference import backend_choice
from src.inference.backend_choice import Measurement, fastest
from src.model_utils.config import parse_options
from src.model_utils.trust import cache_folder
from src.training import checkpoint
from tests.support.cache import new_cache
from tests.support.networks import network_of
from tests.support.scripts import assert_one_line_error

SIMPLE = ["--model_name=unet_simple", "--weight_init=he_uniform"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNET_CACHE_DIR", str(tmp_path / "cache"))
    # Whether it is installed here or not.
    monkeypatch.setattr(backend_choice, "find_spec", lambda name: name != "openvino")


MEASURED = '{"seconds": {"mindspore": 0.4, "onnx": 0.2}, "size": [512, 640]}'


@pytest.fixture
def measured(monkeypatch):
    """What the measuring process is asked for; it answers with these seconds."""
    asked = []

    def run(command, **options):
        work = json.loads(options["input"])
        assert not work["options"]["run_distribute"]        # the process is none of the ranks
        asked.append(work["names"])
        return type("Result", (), {"stdout": f"loading\n{MEASURED}\n", "stderr": ""})
    monkeypatch.setattr(backend_choice.subprocess, "run", run)
    return asked


def measurement(*argv):
    return Measurement(parse_options([*SIMPLE, *argv], ""))


def test_it_is_measured_once(measured, tmp_path, caplog):
    caplog.set_level("INFO", "unet")
    assert measurement().known() is None
    assert fastest(measurement(), tmp_path / "x.onnx") == fastest(measurement(), tmp_path / "x.onnx") == "onnx"
    assert measured == [["mindspore", "onnx"]]
    line = ("ONNX Runtime runs this network fastest on this processor: ONNX Runtime 200 ms, MindSpore 400 ms an "
            "image of 640x512, measured once (")
    assert caplog.text.count(line) == 2
    # Other weights are the same network; other channels, operators or numbers of processors are not.
    assert measurement("--weight_init=default").known().seconds == {"onnx": 0.2, "mindspore": 0.4}
    assert measurement("--num_channels=3").known() is measurement("--cpu_ops=off").known() is None


def test_the_ranks_measure_like_a_process_alone(measured, tmp_path):
    assert fastest(measurement("--run_distribute=True"), tmp_path / "x.onnx") == "onnx"
    assert measured == [["mindspore", "onnx"]] and measurement().known()


def test_other_processors_and_versions_are_measured_again(measured, tmp_path, monkeypatch):
    fastest(measurement(), tmp_path / "x.onnx")
    monkeypatch.setattr(backend_choice, "usable_processors", lambda: 99)
    assert measurement().known() is None
    monkeypatch.undo()
    monkeypatch.setenv("UNET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(backend_choice.metadata, "version", lambda name: "99.0")
    assert measurement().known() is None


@pytest.mark.parametrize("wheels, expected", [(["onnxruntime-gpu"], "onnxruntime-gpu 1.2"), ([], "")])
def test_a_wheel_of_another_name(measured, tmp_path, monkeypatch, wheels, expected):
    """As of onnxruntime-gpu; or of no wheel, as a module that was built in its place."""
    version = backend_choice.metadata.version

    def other_version(name):
        if name == "onnxruntime":
            raise backend_choice.metadata.PackageNotFoundError(name)
        return "1.2" if name in wheels else version(name)
    monkeypatch.setattr(backend_choice.metadata, "version", other_version)
    monkeypatch.setattr(backend_choice.metadata, "packages_distributions", lambda: {"onnxruntime": wheels})
    assert measurement().about["versions"]["onnx"] == expected
    assert fastest(measurement(), tmp_path / "x.onnx") == "onnx" and measurement().known()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seconds": 3}', '{"seconds": {"onnx": 1}}',
                                  '{"seconds": {"onnx": 1, "mindspore": 2}}',
                                  '{"seconds": {"onnx": 1, "mindspore": 2}, "size": [512]}',
                                  '{"seconds": {"onnx": 1, "mindspore": "x"}, "size": [512, 512]}',
                                  '{"seconds": {"onnx": 1, "mindspore": 0}, "size": [512, 512]}',
                                  '{"seconds": {"onnx": 1, "mindspore": NaN}, "size": [512, 512]}'])
def test_a_broken_record_is_measured_again(measured, tmp_path, text):
    fastest(measurement(), tmp_path / "x.onnx")
    record, = cache_folder("backends").glob("*.json")
    good = record.read_text()
    record.write_text(text)
    assert measurement().known() is None
    assert fastest(measurement(), tmp_path / "x.onnx") == "onnx"
    assert len(measured) == 2 and record.read_text() == good


def test_a_record_that_others_can_write_is_not_used(measured, tmp_path, caplog):
    fastest(measurement(), tmp_path / "x.onnx")
    record, = cache_folder("backends").glob("*.json")
    record.chmod(0o666)
    assert fastest(measurement(), tmp_path / "x.onnx") == "onnx"
    assert len(measured) == 2 and f"WARNING: {record} is not used: other users can write it" in caplog.text


def test_processes_that_wait_take_what_the_first_has_measured(measured, tmp_path, monkeypatch):
    second = measurement()
    assert second.known() is None
    fastest(measurement(), tmp_path / "x.onnx")
    assert second.make(tmp_path / "x.onnx").backend == "onnx" and len(measured) == 1


def test_a_measurement_that_fails_says_so(monkeypatch, tmp_path, caplog):
    failed = type("Result", (), {"stdout": "", "stderr": "some\nreason\n", "returncode": 1})
    monkeypatch.setattr(backend_choice.subprocess, "run", lambda *args, **options: failed)
    assert fastest(measurement(), tmp_path / "x.onnx") == "onnx"
    assert "WARNING: the backends could not be compared (reason); ONNX Runtime is taken" in caplog.text
    assert list(cache_folder("backends").glob("*.json")) == []


@pytest.mark.slow
def test_predict_measures_and_follows(narrow_networks, run, tmp_path):
    """The first run measures and says why; the second one follows what is written."""
    path = checkpoint.save(network_of(SIMPLE), tmp_path / "x.ckpt", {"step": 1, "scale": 1.0})
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "p.png")
    argv = [*SIMPLE, f"--checkpoint_file_path={path}", f"--data_path={tmp_path / 'p.png'}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("UNET_CACHE_DIR")      # has the operators
        environment = {"UNET_CACHE_DIR": str(new_cache(tmp_path / "own"))}
    first = run("predict.py", *argv, **environment)
    assert first.returncode == 0 and first.stdout.count("runs this network fastest on this processor") == 1, first
    record, = (tmp_path / "own" / "backends").glob("*.json")
    about = json.loads(record.read_text())
    assert {"mindspore", "onnx"} <= about["seconds"].keys() and about["network"]["model_name"] == "unet_simple"
    for name, line in (("onnx", ".onnx is used instead of"), ("mindspore", "convolutions: ")):
        record.write_text(json.dumps({**about, "seconds": {**dict.fromkeys(about["seconds"], 9), name: 1}}))
        second = run("predict.py", *argv, **environment)
        assert second.returncode == 0 and line in second.stdout, second


@pytest.mark.slow
@pytest.mark.parametrize("script", ["predict.py", "infer_unet_onnx.py"])
def test_openvino_that_is_not_installed(run, tmp_path, script):
    (tmp_path / "openvino.py").write_text("raise ImportError('none here')")
    (tmp_path / "x.onnx").write_bytes(b"x")
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "p.png")
    result = run(script, "--backend=openvino", f"--file_name={tmp_path / 'x.onnx'}",
                 f"--data_path={tmp_path / 'p.png'}", PYTHONPATH=str(tmp_path))
    assert_one_line_error(result, "backend openvino: OpenVINO cannot be imported (none here); install it with 'pip "
                                  "install openvino', or use --backend=onnx")
