"""Raw data: the classes that are chosen for photographs of COCO, and where prepared data are."""
import json
import os

import pytest

from src.model_utils.config import parse_options
from src.planning.layouts import COCO, NUCLEI, Layout
from src.planning.raw import coco_classes, prepared_folder
from tests.support.alarm import in_time


def chosen(path, photographs, categories):
    """The classes where each photograph shows the categories of its list."""
    annotations = [{"image_id": image, "category_id": category, "segmentation": [[1, 1, 5, 1, 5, 5]]}
                   for image, shown in enumerate(photographs) for category in shown]
    path.write_text(json.dumps({
        "images": [{"id": image, "file_name": f"{image}.jpg"} for image in range(len(photographs))],
        "categories": [{"id": category, "name": f"c{category}"} for category in range(categories)],
        "annotations": annotations}))
    return coco_classes(Layout("", "", {"anno_json": str(path)}, len(photographs), COCO), {})


def test_categories_that_enough_photographs_show(tmp_path):
    choice = chosen(tmp_path / "a.json", [[1, 0, 0]] * 4 + [[1, 1, 3]] * 3, 4)
    assert choice.options == {"coco_classes": ["background", "c1"], "num_classes": 2}
    assert "1 of the 4 categories" in choice.because and choice.because.endswith("background: c0, c3")
    assert chosen(tmp_path / "a.json", [[2, 1]] * 4, 3).options["coco_classes"] == ["background", "c1", "c2"]


def test_many_categories_take_linear_time(tmp_path):
    with in_time(10):
        choice = chosen(tmp_path / "a.json", [[image] for image in range(20_000)], 20_000)
    assert choice.options["num_classes"] == 20_001


@pytest.mark.parametrize("option", ["output_path", "save_path"])
def test_other_raw_data_are_prepared_in_another_folder(tmp_path, option):
    """Masks are data of their own too: one that was corrected, added or removed, wherever the folder is."""
    config, layout = parse_options([f"--{option}={tmp_path / 'out'}"], ""), Layout("", "", {}, 1, NUCLEI)
    for part in ("a/1/images/1.png", "a/1/masks/x.png", "b/1/images/1.png", "b/1/masks/x.png"):
        (tmp_path / part).parent.mkdir(parents=True)
        (tmp_path / part).write_bytes(b"1")
        os.utime(tmp_path / part, ns=(1, 1))

    def folder(name):
        found = prepared_folder(config, layout, tmp_path / name)
        assert found.parent == tmp_path / "out" and found.name.startswith("prepared_")
        return found

    first, other = folder("a"), folder("b")
    assert first == folder("a") == folder("b/../a") != other
    os.utime(tmp_path / "a/1/masks/x.png", ns=(2, 2))
    corrected = folder("a")
    (tmp_path / "a/1/masks/y.png").write_bytes(b"1")
    assert len({first, other, corrected, folder("a")}) == 4


def edit(path):
    path.write_bytes(b"edited")


@pytest.mark.parametrize("change", [lambda path: path.unlink(), edit])
@pytest.mark.parametrize("changed", ["n1/images/n1.png", "n1/masks/2.png"])
def test_changed_nuclei_are_prepared_again(tmp_path, changed, change):
    raw = tmp_path / "raw"
    for path in ("n1/images/n1.png", "n1/masks/1.png", "n1/masks/2.png", "notes.txt"):
        (raw / path).parent.mkdir(parents=True, exist_ok=True)
        (raw / path).write_bytes(b"x")
    where = [parse_options([], ""), Layout("", "", {"dataset": "folders"}, 1, NUCLEI), raw]
    before = prepared_folder(*where)
    (raw / "out").mkdir()
    edit(raw / "notes.txt")
    assert prepared_folder(*where) == before
    change(raw / changed)
    assert prepared_folder(*where) != before


@pytest.mark.parametrize("changed, split, again", [
    ("train.json", 0.8, True), ("train/1.jpg", 0.8, True), ("val/2.jpg", 0.8, False), ("val/2.jpg", 1.0, True)])
def test_changed_photographs_are_prepared_again(tmp_path, changed, split, again):
    for path in ("train.json", "val.json", "train/1.jpg", "val/2.jpg"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    options = [f"--{option}={tmp_path / name}" for option, name in (
        ("anno_json", "train.json"), ("coco_dir", "train"), ("val_anno_json", "val.json"), ("val_coco_dir", "val"))]
    where = [parse_options([f"--split={split}", *options], ""), Layout("", "", {}, 1, COCO), tmp_path]
    before = prepared_folder(*where)
    edit(tmp_path / changed)
    assert (prepared_folder(*where) != before) == again
