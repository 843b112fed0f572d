"""Predictions that go on where others stopped, and those of several ranks, give the files of one whole run."""
import csv
import json
import os

import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.image_files import ImageFile, list_image_files
from src.inference import file_predictor
from src.inference import predict as module
from src.inference.file_predictor import FilePredictor
from src.inference.loading import LoadedNetwork
from src.inference.predict import _share, predict
from src.inference.records import FOLDER, Records
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.model_utils.ranks import Ranks
from src.networks.receptive_field import ReceptiveField
from src.report import prediction
from src.tiling.predictor import Windows
from src.training import checkpoint
from tests.support.contents import files
from tests.support.networks import network_of
from tests.support.scripts import SCRIPTS, bash

ALL = ["--objects=True", "--report=True", "--save_probability=True", "--overlay=True"]


def brightness(images):
    """(1, 1, H, W) from -1 to 1 -> (1, H, W, 2) probabilities."""
    foreground = (images[:, 0] + 1) / 2
    return np.stack([1 - foreground, foreground], axis=-1)


@pytest.fixture(autouse=True)
def info_lines(caplog):
    caplog.set_level("INFO", "unet")


@pytest.fixture
def images(tmp_path):
    """Folder of 1.png to 7.png, and a stack of two pages; file N has N squares."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(1, 8):
        picture(folder / f"{number}.png", number)
    tifffile.imwrite(folder / "stack.tif", np.stack([squares(2), squares(1)]), photometric="minisblack")
    return folder


def squares(count):
    image = np.zeros((30, 40), np.uint8)
    for place in range(count):
        image[place // 4 * 10:][:5, place % 4 * 10:][:, :5] = 255
    return image


def picture(path, count):
    Image.fromarray(squares(count)).save(path)


@pytest.fixture
def run(monkeypatch, tmp_path, images):
    """Predict into a folder; returns the number of files that failed."""
    network = tmp_path / "network"
    network.write_bytes(b"weights")

    def load(config):
        windows = Windows(ReceptiveField(0, 16, 16), config.tile_size or 768)
        return LoadedNetwork(brightness, "stand-in", "CPU", None, windows, 1.0, "Softmax", {}, config, (network,))
    monkeypatch.setattr(file_predictor, "load_network", load)

    def start(output, *argv):
        return predict(parse_options([f"--data_path={images}", f"--output_path={tmp_path / output}", *ALL,
                                      "--image_size=native", "--num_channels=1", "--normalize=range", *argv], ""))
    return start


def results(folder):
    """Name -> bytes of the results, without the report and the records, which have dates in them."""
    return {name: data for name, data in files(folder).items() if FOLDER not in name and name != "prediction.html"}


def pages_of(folder):
    """The report of a run, up to its options."""
    text = (folder / "prediction.html").read_text()
    return text[text.index('<dl class="cards">'):text.index("<h2>Options")]


def predicted(caplog):
    return [line for line in caplog.messages if " images of " in line][-1]


def test_going_on_after_a_run_that_was_stopped(run, images, tmp_path, monkeypatch, caplog):
    """Done again: what the stopped run did not reach, and what lacks a result, is half there, or has changed."""
    monkeypatch.setattr(prediction, "MOST_PICTURES", 5)
    assert run("whole") == 0
    predict_file, reached = FilePredictor.predict, []

    def stopping(self, file, most_pictures):
        if len(reached) == 6:
            raise KeyboardInterrupt
        reached.append(file.name)
        return predict_file(self, file, most_pictures)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FilePredictor, "predict", stopping)
        run("out")
    out = tmp_path / "out"
    assert reached == [str(number) for number in range(1, 7)] and not (out / "objects.csv").exists()
    (out / "objects" / "2.tif").unlink()
    (out / "probabilities" / "4.tif").write_bytes((out / "probabilities" / "4.tif").read_bytes()[:-1])
    os.utime(images / "5.png", ns=(1, 1))
    caplog.clear()
    assert run("out", "--skip_existing=True") == 0
    assert "skip_existing: 3 of 8 files are predicted already; 1 have changed since they were" in caplog.text
    assert predicted(caplog).startswith("6 images of 5 files in ")
    assert results(out) == results(tmp_path / "whole") and pages_of(out) == pages_of(tmp_path / "whole")
    assert pages_of(out).count("<img ") == 5

    caplog.clear()
    assert run("out", "--skip_existing=True") == 0
    assert predicted(caplog).startswith("0 images of 0 files in ")
    assert results(out) == results(tmp_path / "whole")


def test_new_and_broken_files_and_records(run, images, tmp_path, caplog):
    """Records that are damaged in any way are as good as none; a file that failed is tried again."""
    (images / "7.png").write_bytes((images / "6.png").read_bytes()[:50])
    assert run("out") == 1
    picture(images / "7.png", 7)
    picture(images / "13.png", 3)
    records = {json.loads(path.read_text())["image"][0]: path for path in (tmp_path / "out" / FOLDER).iterdir()}
    for number, damage in enumerate(("", "[]", '{"image": 3, "pages": []}', "[" * 100_000), 1):
        records[str(images / f"{number}.png")].write_text(damage)
    values = json.loads(records[str(images / "5.png")].read_text())
    for change in ({"rows": [5]}, {"kinds": [["masks"]]}, {"results": []}, {"pages": [[]]}, {"rows": 5}):
        records[str(images / "5.png")].write_text(json.dumps({**values, **change}))
        assert Records(tmp_path / "out", {}, []).read(ImageFile(images / "5.png", "5")) is None
    caplog.clear()
    assert run("out", "--skip_existing=True") == 0
    assert "skip_existing: 2 of 9 files are predicted already" in caplog.text
    assert run("whole") == 0
    assert results(tmp_path / "out") == results(tmp_path / "whole")


@pytest.mark.parametrize("option, words", [
    ("--object_threshold=0.7", "made with object_threshold 0.5, and object_threshold is 0.7"),
    ("--scale=0.5", "made with scale 0.0, and scale is 0.5"),
    ("--tile_size=32", "made with tile_size .blended. 0, and tile_size .blended. is 32"),
    ("network", "made with another network")])
def test_results_of_other_options_are_an_error(run, tmp_path, option, words):
    run("out")
    before = files(tmp_path / "out")
    if option == "network":
        (tmp_path / "network").write_bytes(b"other weights")
    with pytest.raises(UNetError, match="skip_existing: .*out has results of 8 files that were " + words):
        run("out", "--skip_existing=True", *[option] * (option != "network"))
    assert files(tmp_path / "out") == before
    assert run("out", *[option] * (option != "network")) == 0        # without skip_existing all are made again
    assert run("out", "--skip_existing=True", *[option] * (option != "network")) == 0


def test_a_kind_of_result_that_was_not_asked_for_before(run, tmp_path, caplog):
    run("out", "--objects=False", "--report=False")
    run("out", "--skip_existing=True")
    assert "skip_existing: 0 of 8 files are predicted already" in caplog.text
    with open(tmp_path / "out" / "objects.csv", newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)].count("7.png") == 7
    caplog.clear()
    run("out", "--skip_existing=True", "--objects=False", "--report=False", "--object_threshold=0.9")
    assert "skip_existing: 8 of 8 files are predicted already" in caplog.text


def test_a_file_that_is_gone_is_one_bad_file(run, images, tmp_path, monkeypatch):
    predict_file = FilePredictor.predict

    def removing(self, file, most_pictures):
        (images / "2.png").unlink(missing_ok=True)
        return predict_file(self, file, most_pictures)
    with monkeypatch.context() as patch:
        patch.setattr(FilePredictor, "predict", removing)
        assert run("out") == 1
    assert (tmp_path / "out" / "predictions" / "7.png").is_file()
    assert not (tmp_path / "out" / "predictions" / "2.png").exists()


def test_shares_of_the_ranks(tmp_path):
    """Each file once, in the order of the files, with about as many bytes each."""
    files = []
    for number, size in enumerate((10, 900, 20, 30, 800, 40, 700)):
        path = tmp_path / f"{number}.png"
        path.write_bytes(bytes(size))
        files.append(ImageFile(path, path.stem))
    shares = []
    for rank in range(3):
        ranks = Ranks()
        ranks.rank, ranks.size = rank, 3
        shares.append([file.name for file in module._share(files, ranks)])
    assert shares == [["0", "1", "5"], ["3", "4"], ["2", "6"]]


@pytest.mark.slow
def test_two_ranks_write_the_files_of_one_process(narrow_networks, exports_here, tmp_path, images):
    """With a file that cannot be read, whose message is in the report though another rank had it."""
    argv = ["--model_name=unet_simple", "--weight_init=he_uniform"]
    checkpoint.save(network_of(argv), tmp_path / "net.ckpt", {"step": 1, "scale": 1.0})
    (images / "3.png").write_bytes((images / "4.png").read_bytes()[:50])
    options = [*ALL, "--image_size=native", "--normalize=range", "--backend=onnx"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNET_CACHE_DIR", str(tmp_path / "cache"))
        assert predict(parse_options([*argv, *options, f"--checkpoint_file_path={tmp_path / 'net.ckpt'}",
                                      f"--data_path={images}", f"--output_path={tmp_path / 'one'}"], "")) == 1
        result = bash(SCRIPTS / "run_distribute_predict.sh", 2, images, tmp_path / "net.ckpt",
                      "unet_simple_config.yaml", "CPU", *options, f"--output_path={tmp_path / 'two'}",
                      FOREGROUND="1", UNET_CACHE_DIR=str(tmp_path / "cache"), cwd=tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    log = (tmp_path / "predict_msrun_1" / "LOG0" / "log.log").read_text()
    assert results(tmp_path / "one") == results(tmp_path / "two")
    assert pages_of(tmp_path / "one") == pages_of(tmp_path / "two") and "3.png" in pages_of(tmp_path / "two")
    assert "8 images of 7 files in " in log and "1 of 8 files could not be predicted" in log


class Rank(Ranks):
    """One of two ranks that come one after the other; ``told`` is what they have told each other until then."""

    def __init__(self, rank, told):
        super().__init__()
        self.rank, self.size, self.told = rank, 2, told

    def values(self, value):
        self.told.append(value)
        return np.array(self.told)


def test_ranks_share_by_sizes_that_they_have_compared(tmp_path):
    """Otherwise a file that grows meanwhile might be predicted by no rank."""
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(bytes(10 - number))
    found, told = list_image_files(tmp_path), []
    shares = [_share(found, Rank(rank, told)) for rank in range(2)]
    assert [[file.name for file in share] for share in shares] == [["0", "2", "4"], ["1", "3"]]
    (tmp_path / "4.png").write_bytes(bytes(20))
    with pytest.raises(UNetError, match=r"files of different sizes; .* call it again when the images are complete"):
        _share(found, Rank(1, told[:1]))
