"""Names of files, folders and classes that are legal but odd: every table, page, picture and list takes them."""
import csv
import json
import os

import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.samples import create_samples, entries
from src.data.splits import choose, write_splits
from src.inference import file_predictor
from src.inference.loading import LoadedNetwork
from src.inference.predict import predict
from src.model_utils.config import parse_options
from src.networks.receptive_field import ReceptiveField
from src.report.figures import confusion_svg
from src.tiling.predictor import Windows
from tests.support.scripts import run_here

FOLDER = os.fsdecode(b"da $ta,\xe9\n2")
# Latin-1, mathtext, digits that int() does not take, the longest names, separators of lists and tables, lines, markup.
NAMES = [os.fsdecode(name) for name in (
    b"caf\xe9", b"$a^{b", b"$x$_$y$", "µm²_2".encode(), b"n" * 251, "né".encode() * 83, b"a, b", b"line\nbreak",
    b"line\rend", b"\"quo'te", b"a;b|c", b"\\frac", b"%s %d", b"<b>&amp;", b"-dash", b"{x}[0-9]*?", b" ")]


def squares():
    image = np.zeros((24, 32), np.uint8)
    image[2:10, 3:9] = image[12:20, 20:30] = 255
    return image


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        Image.fromarray(array).save(file, "PNG")


@pytest.fixture
def data(tmp_path):
    """Pairs image/NAME.png, mask/NAME.png."""
    root = tmp_path / FOLDER / "pairs"
    for name in NAMES:
        for part in ("image", "mask"):
            save(root / part / f"{name}.png", squares())
    return root


def brightness(images):
    foreground = (images[:, 0] + 1) / 2
    return np.stack([1 - foreground, foreground], axis=-1)


def test_prediction(monkeypatch, data):
    """A result of each name. The table and the page are UTF-8, with escapes for what is none."""
    out = data.parent / "out, $2"
    config = parse_options([f"--data_path={data / 'image'}", f"--output_path={out}", "--objects=True", "--report=True",
                            "--overlay=True", "--save_probability=True", "--image_size=native",
                            "--normalize=range"], "")
    loaded = LoadedNetwork(brightness, "stand-in", "CPU", None, Windows(ReceptiveField(0, 16, 16), 768), 1.0, "Softmax",
                           {}, config)
    monkeypatch.setattr(file_predictor, "load_network", lambda config: loaded)
    assert predict(config) == 0
    for folder, ending in (("predictions", "png"), ("overlays", "png"), ("probabilities", "tif"), ("objects", "tif")):
        assert sorted(os.listdir(out / folder)) == sorted(f"{name}.{ending}" for name in NAMES)
    assert tifffile.imread(os.fsencode(out / "objects" / f"{NAMES[0]}.tif").decode(errors="surrogateescape")).max() == 2
    with open(out / "objects.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(NAMES) and {row["area"] for row in rows} == {"48", "80"}
    assert {row["file"] for row in rows} == {"caf\\xe9.png", *(f"{name}.png" for name in NAMES[1:])}
    page = (out / "prediction.html").read_text(encoding="utf-8")
    assert page.count("<img ") == len(NAMES) and "caf\\xe9.png" in page and "&lt;b&gt;&amp;amp;.png" in page
    assert f"--output_path={out.parent}".replace("\udce9", "\\xe9") in page


def test_lists_of_samples(data, tmp_path):
    """splits.json gives back the same samples."""
    config = parse_options(["--dataset=image_mask", f"--data_path={data}", "--split=0.5", "--image_size=[16,16]"], "")
    training, validation = create_samples(config)
    names = [entries(samples, data) for samples in (training, validation)]
    assert sorted(names[0] + names[1]) == sorted(f"image/{name}.png" for name in NAMES)
    path = data.parent / "splits, $.json"
    write_splits(path, *names)
    assert choose([*names[0], *names[1]], path) == (list(range(len(names[0]))),
                                                    list(range(len(names[0]), len(NAMES))))
    config = config.replace(splits=str(path))
    assert [entries(samples, data) for samples in create_samples(config)] == names


def test_check_of_a_data_set(data):
    out = data.parent / "check"
    result = run_here("preprocess_dataset.py", "--check=True", "--report=True", "--dataset=image_mask", "--split=0.5",
                      f"--data_path={data}", f"--output_path={out}", "--image_size=[16,16]",
                      '--class_values={"$a^{": 0, "\\\\frac": 255}')
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads((out / "dataset.json").read_text())["training"]["classes"] == ["$a^{", "\\frac"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "$a^{" in page and "\\xe9" in page and (out / "dataset.jpg").stat().st_size


def test_classes_in_a_figure():
    """No formulas: $ and \\ are themselves."""
    svg = confusion_svg([[3, 1, 0], [0, 2, 0], [0, 0, 1]], ["$a^{b", "x_$2$", "\\frac"])
    for name in ("$a^{b", "x_$2$", "\\frac"):
        assert f">{name}</text>" in svg
