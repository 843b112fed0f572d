"""The check without training: its pictures and its page."""
import json
import re

import numpy as np
import pytest
from PIL import Image

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.report.dataset_pictures import GAP, SIDE, TEXT
from src.report.dataset_report import check_and_report
from src.report.page import _jpeg
from tests.support.data import write_pairs

NAMES = [f"{number:02d}" for number in range(20)]
# Black, red and green; what is ignored is gray.
ARGV = ["--dataset=folders", "--num_channels=3", "--image_size=[80,80]", "--num_classes=3", "--ignore_index=9",
        "--class_values={ground: 0, disc: 1, <b>: 2}", "--check=True", "--report=True"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_pairs(folder / "data", NAMES, size=(80, 80), classes=3)
    mask = np.zeros((80, 80), np.uint8)
    mask[:20], mask[20:40], mask[40:60] = 1, 2, 9
    for name in NAMES:
        Image.new("RGB", (80, 80), (100, 100, 100)).save(folder / "data" / name / "image.png")
        Image.fromarray(mask).save(folder / "data" / name / "mask.png")
    return folder


def test_pictures_and_page(folder):
    """A dozen pictures; over each second one its classes."""
    config = parse_options([*ARGV, f"--data_path={folder / 'data'}", f"--output_path={folder / 'out'}"], "")
    check_and_report(config)
    assert json.loads((folder / "out" / "dataset.json").read_text())["training"]["classes"] == ["ground", "disc", "<b>"]
    sheet = np.asarray(Image.open(folder / "out" / "dataset.jpg")).astype(int)
    assert sheet.shape == (3 * (SIDE + TEXT + GAP), 4 * (2 * SIDE + GAP // 2 + GAP), 3)
    left, right = sheet[[20, 60, 100, 140], SIDE // 2], sheet[[20, 60, 100, 140], SIDE + SIDE // 2]
    np.testing.assert_allclose(left, [[100] * 3] * 4, atol=6)
    np.testing.assert_allclose(right, [[178, 50, 50], [50, 178, 50], [114] * 3, [100] * 3], atol=6)
    text = (folder / "out" / "report.html").read_text()
    assert text.count("<img ") == 1 and len(re.findall(r"<img [^>]*alt=\"[^\"]+\"", text)) == 1
    for part in ("<th scope=\"row\">masks hold</th><td>class_values</td>", "rgb(255, 0, 0)\"></span>disc",
                 "</span>&lt;b&gt;", "--check=True", "preprocess_dataset.py"):
        assert part in text, part
    for row in ("numbers in channel 2</th><td>100 to 100 (1 %: 100, 99.8 %: 100)", "pixels of ground</th><td>33.3%"):
        assert f"<th scope=\"row\">{row}</td>" in text, row
    assert "Confusion" not in text and "Evaluated" not in text


def test_a_faulty_data_set_has_a_page_too(tmp_path):
    write_pairs(tmp_path / "bad", ["00", "01", "02"])
    (tmp_path / "bad" / "00" / "image.png").write_bytes(b"none")
    config = parse_options(["--dataset=folders", "--num_channels=3", "--image_size=[48,40]", "--report=True",
                            f"--data_path={tmp_path / 'bad'}", f"--output_path={tmp_path / 'out'}"], "")
    with pytest.raises(UNetError, match="00/image.png: cannot be read"):
        check_and_report(config)
    text = (tmp_path / "out" / "report.html").read_text()
    assert "00/image.png: cannot be read" in text and "samples that cannot be used</th><td>1</td><td>0</td>" in text
    assert Image.open(tmp_path / "out" / "dataset.jpg").width == 2 * (2 * SIDE + GAP // 2 + GAP)


def test_one_picture_names_the_cause(tmp_path):
    write_pairs(tmp_path / "one", ["00"])
    config = parse_options(["--dataset=folders", "--num_channels=3", f"--data_path={tmp_path / 'one'}",
                            f"--output_path={tmp_path / 'out'}"], "")
    with pytest.raises(UNetError, match=r"the data set has 1, and split 0\.8 rounds down to none"):
        check_and_report(config)
    assert not (tmp_path / "out").exists()


def test_a_report_holds_no_other_file(tmp_path):
    """Reports are handed on: a link, or what is no JPEG file, does not get into them."""
    (tmp_path / "secret").write_bytes(b"\xff\xd8\xff a key")
    path = tmp_path / "dataset.jpg"
    path.symlink_to(tmp_path / "secret")
    assert _jpeg(path) == _jpeg(tmp_path / "none.jpg") == ""
    path.unlink()
    path.write_bytes(b"a key")
    assert _jpeg(path) == ""
    path.write_bytes(b"\xff\xd8\xff...")
    assert _jpeg(path).startswith("data:image/jpeg;base64,")
