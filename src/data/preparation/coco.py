"""COCO: from an annotation file and its photographs to images and masks of class numbers."""
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from src.data.folders import IMAGE_FILE, MASK_FILE
from src.data.image_mask_pairs import open_image, read_pixels, to_channels
from src.data.preparation.task_pool import Task
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import write_atomically

CLASSES_FILE = "classes.json"


@dataclass(frozen=True)
class Annotations:
    """An annotation file and its photographs.

    Attributes:
        anno_json: the annotation file.
        coco_dir: folder of the photographs.
        prefix: prefix of the options that name the two, for messages.
    """
    anno_json: str
    coco_dir: str
    prefix: str = ""


def coco_tasks(folders: dict[Path, Annotations], classes_file: Path, classes: list[str]) -> list[Task]:
    """Make the tasks that draw the masks: ``NAME/image.png`` and ``NAME/mask.png`` for the photograph NAME.jpg.

    Args:
        folders (dict): folder of the results -> Annotations.
        classes_file (Path): a JSON file that keeps the classes of the masks' numbers.
        classes (list[str]): names of the classes; the number of a class is its place. The background comes first.

    Raises:
        UNetError: a file is missing or is no annotation file, or its classes are not those of ``classes``.
    """
    if not find_spec("pycocotools"):
        raise UNetError("COCO needs pycocotools, which is not installed; pip install -r requirements.txt")
    tasks = [task for folder, annotations in folders.items() for task in _tasks_of(folder, annotations, classes)]
    _note_classes(classes_file, classes)
    return tasks


def _tasks_of(target: Path, source: Annotations, classes: list[str]) -> list[Task]:
    for option, value in (("anno_json", source.anno_json), ("coco_dir", source.coco_dir)):
        if not value or not Path(value).exists():
            raise UNetError(f"{source.prefix}{option}: no such file or folder: {value!r}; give it with "
                            f"--{source.prefix}{option}")
    anno_json = source.anno_json
    images, annotations, categories = _read(anno_json)
    numbers = _class_numbers(anno_json, categories, classes)
    instances = defaultdict(list)
    for annotation in annotations:
        if annotation["category_id"] not in numbers:
            raise UNetError(f"{anno_json}: annotation {annotation.get('id')} has the category "
                            f"{categories.get(annotation['category_id'], annotation['category_id'])!r}, which is not "
                            f"in coco_classes; give all classes of the file, the background first")
        instances[annotation["image_id"]].append((annotation.get("id"), numbers[annotation["category_id"]],
                                                  annotation.get("segmentation")))
    tasks: dict[str, Task] = {}
    for image in images:
        name = PurePosixPath(image["file_name"]).stem
        if name in ("", "..") or "\0" in name:
            raise UNetError(f"{anno_json}: {image['file_name']!r} is not the name of an image file")
        if name in tasks:
            raise UNetError(f"{anno_json}: two images are called {name}; they would go into the same folder")
        tasks[name] = Task((target / name / IMAGE_FILE, target / name / MASK_FILE), draw_instances,
                           (Path(source.coco_dir) / image["file_name"], (image["height"], image["width"]),
                            instances[image["id"]]))
    return list(tasks.values())


def _read(path: str) -> tuple[list[dict], list[dict], dict]:
    """Read the images and annotations, and category id -> name, of an annotation file."""
    try:
        content = json.loads(Path(path).read_bytes())
        images = [{"file_name": str(image["file_name"]), **{key: int(image[key]) for key in ("id", "height", "width")}}
                  for image in content["images"]]
        annotations = content["annotations"]
        for annotation in annotations:
            hash((annotation["image_id"], annotation["category_id"]))
        return images, annotations, {category["id"]: category["name"] for category in content["categories"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UNetError(f"{path}: not an annotation file of COCO's instances ({type(error).__name__}: "
                        f"{str(error)[:100]})") from None


def _class_numbers(path: str, categories: dict, classes: list[str]) -> dict:
    """Return category id -> class number, the place of the category's name in ``classes``."""
    places = {name: number for number, name in enumerate(classes)}
    if classes[0] in categories.values():
        raise UNetError(f"coco_classes begins with {classes[0]!r}, which is a category of {path}; the background comes "
                        f"first")
    if len(places) < len(classes):
        twice = [name for number, name in enumerate(classes) if places[name] != number]
        raise UNetError(f"coco_classes names {first_few(twice)} twice")
    return {category: places[name] for category, name in categories.items() if name in places}


def _note_classes(path: Path, classes: list[str]) -> None:
    """Write the classes of the numbers, or refuse a folder whose masks have other numbers."""
    if path.exists():
        try:
            noted = json.loads(path.read_bytes())
        except ValueError:
            noted = None
        if noted != classes:
            raise UNetError(f"{path}: the masks in this folder were made with other coco_classes; give another "
                            f"--save_path, or remove the folder")
    write_atomically(path, json.dumps(classes, indent=1).encode())


def draw_instances(path: Path, size: tuple[int, int],
                   instances: Sequence[tuple[Any, int, Any]]) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Draw the instances of a photograph into one mask. Where they overlap, the first one stays.

    Crowds are drawn like single instances, as the model zoo does.

    Args:
        path (Path): the photograph.
        size (tuple): (height, width) as the annotation file says.
        instances (list): (id, class number, segmentation) of each instance; see ``coco_masks.area``.

    Returns:
        tuple: ((H, W, 3) uint8 blue, green, red; (H, W) uint8 class numbers), and the number of instances.

    Raises:
        UNetError: the photograph is missing, damaged or of another size, or an annotation is damaged.
    """
    from src.data.preparation.coco_masks import area  # loads pycocotools, which other data sets do not need

    if not path.is_file():
        raise UNetError(f"{path} is missing; the annotation file names it")
    with open_image(path) as file:
        if (file.height, file.width) != size:
            raise UNetError(f"{path}: {file.width}x{file.height}, the annotation file says {size[1]}x{size[0]}")
        image = to_channels(read_pixels(file, path), 3)
    mask = np.zeros(size, np.uint8)
    for identity, number, segmentation in reversed(instances):
        try:
            mask[area(segmentation, *size)] = number
        except Exception as error:      # pycocotools has no common base class for its errors
            raise UNetError(f"{path}: annotation {identity} cannot be drawn ({str(error)[:100]})") from None
    return (image, mask), len(instances)
