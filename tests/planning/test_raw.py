"""The classes that are chosen for photographs of COCO."""
import json

from src.planning.layouts import COCO, Layout
from src.planning.raw import coco_classes
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
