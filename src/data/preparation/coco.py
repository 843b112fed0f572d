"""COCO: an annotation file and its photographs, to pictures and masks of class numbers."""
import json
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import numpy as np

from src.data.folders import IMAGE_FILE, MASK_FILE
from src.data.image_mask_pairs import open_image, read_pixels, to_channels
from src.data.preparation.task_pool import Task
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import write_atomically

CLASSES_FILE = "classes.json"


def coco_tasks(config):
    """Tasks that draw the masks: ``NAME/image.png`` and ``NAME/mask.png`` for the photograph NAME.jpg.

    With split 1.0 they go into ``train`` and ``val`` of the target folder, from the two annotation files; else all
    into the target folder, from ``anno_json``. A class's number is its place in ``coco_classes``; ``classes.json``
    keeps the numbers beside the masks.

    Args:
        config (Config): data_path or save_path (the target), split, num_classes, and the options of COCO.
    """
    if not find_spec("pycocotools"):
        raise UNetError("COCO needs pycocotools, which is not installed; pip install -r requirements.txt")
    target = Path(config.save_path or config.data_path)
    if len(config.coco_classes) != config.num_classes:
        raise UNetError(f"coco_classes names {len(config.coco_classes)} classes, num_classes is {config.num_classes}; "
                        f"both count the background, which comes first")
    parts = [(target, config.anno_json, config.coco_dir, "")]
    if config.split == 1.0:
        parts = [(target / "train", config.anno_json, config.coco_dir, ""),
                 (target / "val", config.val_anno_json, config.val_coco_dir, "val_")]
    tasks = [task for folder, anno_json, coco_dir, prefix in parts
             for task in _tasks_of(folder, anno_json, coco_dir, config.coco_classes, prefix)]
    _note_classes(target / CLASSES_FILE, config.coco_classes)
    return tasks


def _tasks_of(target, anno_json, coco_dir, classes, prefix):
    for option, value in (("anno_json", anno_json), ("coco_dir", coco_dir)):
        if not value or not Path(value).exists():
            raise UNetError(f"{prefix}{option}: no such file or folder: {value!r}; give it with --{prefix}{option}")
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
    tasks = {}
    for image in images:
        name = PurePosixPath(image["file_name"]).stem
        if name in ("", "..") or "\0" in name:
            raise UNetError(f"{anno_json}: {image['file_name']!r} is not the name of an image file")
        if name in tasks:
            raise UNetError(f"{anno_json}: two images are called {name}; they would go to one folder")
        tasks[name] = Task((target / name / IMAGE_FILE, target / name / MASK_FILE), draw_instances,
                           (Path(coco_dir) / image["file_name"], (image["height"], image["width"]),
                            instances[image["id"]]))
    return list(tasks.values())


def _read(path):
    """Images and annotations (lists), and category id -> name, of an annotation file."""
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


def _class_numbers(path, categories, classes):
    """Category id -> class number, the place of its name in ``classes``, for the names that are there."""
    places = {name: number for number, name in enumerate(classes)}
    if classes[0] in categories.values():
        raise UNetError(f"coco_classes begins with {classes[0]!r}, which is a category of {path}; the background comes "
                        f"first")
    if len(places) < len(classes):
        twice = [name for number, name in enumerate(classes) if places[name] != number]
        raise UNetError(f"coco_classes names {first_few(twice)} twice")
    return {category: places[name] for category, name in categories.items() if name in places}


def _note_classes(path, classes):
    """Write which number is which class, or refuse a folder whose masks have other numbers."""
    if path.exists():
        try:
            noted = json.loads(path.read_bytes())
        except ValueError:
            noted = None
        if noted != classes:
            raise UNetError(f"{path}: the masks in this folder were made with other coco_classes; give another "
                            f"--save_path, or remove the folder")
    write_atomically(path, json.dumps(classes, indent=1).encode())


def draw_instances(path, size, instances):
    """Draw the instances of a photograph into one mask; where they overlap the earlier one stays.

    Crowds are drawn like the others, as the model zoo does.

    Args:
        path (Path): the photograph.
        size (tuple): its (height, width) after the annotation file.
        instances (list): (id, class number, segmentation) of each instance; a segmentation is a list of polygons
            [x, y, x, y, ...] or a run-length code.

    Returns:
        tuple: ((H, W, 3) uint8 blue, green, red; (H, W) uint8 class numbers), and the number of instances.
    """
    from src.data.preparation.coco_masks import area  # loads pycocotools, which other data sets do without

    if not path.is_file():
        raise UNetError(f"{path} is missing; the annotation file names it")
    with open_image(path) as file:
        if (file.height, file.width) != size:
            raise UNetError(f"{path}: {file.width}x{file.height}, the annotation file says {size[1]}x{size[0]}")
        image = to_channels(read_pixels(file), 3)
    mask = np.zeros(size, np.uint8)
    for identity, number, segmentation in reversed(instances):
        try:
            mask[area(segmentation, *size)] = number
        except Exception as error:      # pycocotools has no common base for what it raises
            raise UNetError(f"{path}: annotation {identity} cannot be drawn ({str(error)[:100]})") from None
    return (image, mask), len(instances)
