"""COCO: from an annotation file and its photographs to images and masks of class numbers."""
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import numpy as np

from src.data.channels import Channels
from src.data.folders import IMAGE_FILE, MASK_FILE
from src.data.image_reader import read_image
from src.data.preparation.coco_annotations import AnnotationFile, Instance, Photograph, read_annotations
from src.data.preparation.task_pool import Task
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import write_atomically
from src.model_utils.inputs import MissingFile, WrongContent, read_json
from src.model_utils.options import nearest

logger = logging.getLogger("unet")


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


@dataclass(frozen=True)
class Drawing:
    """How masks are drawn.

    Attributes:
        classes: names of the classes, the background first; the number of a class is its place.
        small_on_top: where instances overlap, the smaller one stays; otherwise the one that is first in the file.
    """
    classes: list[str]
    small_on_top: bool = False


def coco_tasks(folders: dict[Path, Annotations], classes_file: Path, drawing: Drawing) -> list[Task]:
    """Make the tasks that draw the masks: ``NAME/image.png`` and ``NAME/mask.png`` for the photograph NAME.jpg.

    Args:
        folders (dict): folder of the results -> Annotations.
        classes_file (Path): a JSON file that keeps the classes of the masks' numbers.
        drawing (Drawing): how to draw the masks.

    Raises:
        UNetError: a file is missing or is no annotation file, or does not have the classes.
    """
    if not find_spec("pycocotools"):
        raise UNetError("COCO needs pycocotools, which is not installed; pip install -r requirements.txt")
    for source in folders.values():
        for option, value in (("anno_json", source.anno_json), ("coco_dir", source.coco_dir)):
            if not value or not Path(value).exists():
                raise UNetError(f"{source.prefix}{option}: no such file or folder: {value!r}; give it with "
                                f"--{source.prefix}{option}")
    files = {folder: read_annotations(source.anno_json) for folder, source in folders.items()}
    _check_classes(list(files.values()), drawing.classes)
    tasks = [task for folder, file in files.items()
             for task in _tasks_of(folder, Path(folders[folder].coco_dir), file, drawing)]
    _note_classes(classes_file, drawing.classes)
    return tasks


def _check_classes(files: Sequence[AnnotationFile], classes: list[str]) -> None:
    known = {name for file in files for name in file.categories.values()}
    if classes[0] in known:
        raise UNetError(f"coco_classes begins with {classes[0]!r}, which is a category of the annotation file; the "
                        f"background comes first")
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice:
        raise UNetError(f"coco_classes names {first_few(twice)} twice")
    unknown = [name for name in classes[1:] if name not in known]
    if unknown:
        raise UNetError(f"coco_classes names {unknown[0]!r}, which is no category of {files[0].path}"
                        f"{nearest(unknown[0], known)}")


def _tasks_of(target: Path, folder: Path, file: AnnotationFile, drawing: Drawing) -> list[Task]:
    places = {name: number for number, name in enumerate(drawing.classes)}
    left_out = Counter(file.categories[instance.category] for photograph in file.photographs
                       for instance in photograph.instances if file.categories[instance.category] not in places)
    if left_out:
        logger.info("%s: %d instances of %d categories that coco_classes does not name are left out: %s", file.path,
                    left_out.total(), len(left_out), first_few([name for name, _ in left_out.most_common()]))
    tasks = []
    for name, photograph in _named(file).items():
        instances = [(instance, places[file.categories[instance.category]]) for instance in photograph.instances
                     if file.categories[instance.category] in places]
        tasks.append(Task((target / name / IMAGE_FILE, target / name / MASK_FILE), draw_instances,
                          (_find(folder, photograph), photograph.size, instances, drawing.small_on_top)))
    return tasks


def _named(file: AnnotationFile) -> dict[str, Photograph]:
    """Name the photographs without their endings; with their folders, where two would have the same name."""
    paths = [PurePosixPath(photograph.file_name) for photograph in file.photographs]
    stems = Counter(path.stem for path in paths)
    named: dict[str, Photograph] = {}
    for path, photograph in zip(paths, file.photographs):
        if path.stem in ("", "..") or "\0" in path.stem:
            raise UNetError(f"{file.path}: {photograph.file_name!r} is not the name of an image file")
        parts = [part for part in path.parts[:-1] if part not in ("/", "..")] if stems[path.stem] > 1 else []
        name = "_".join([*parts, path.stem])
        if name in named:
            raise UNetError(f"{file.path}: two images are called {name}; they would go into the same folder")
        named[name] = photograph
    return named


def _find(folder: Path, photograph: Photograph) -> Path:
    """Return the path of a photograph below ``folder``; the file may name a folder that is not there, or elsewhere."""
    name = PurePosixPath(photograph.file_name)
    path, alone = folder / name, folder / name.name
    leads_out = name.is_absolute() or ".." in name.parts
    return alone if leads_out or alone.is_file() and not path.is_file() else path


def _note_classes(path: Path, classes: list[str]) -> None:
    """Write the classes of the numbers, or refuse a folder whose masks have other numbers."""
    try:
        noted = read_json(path, lambda content: content)
    except MissingFile:
        noted = classes
    except WrongContent:
        noted = None
    if noted != classes:
        raise UNetError(f"{path}: the masks in this folder were made with other coco_classes; give another "
                        f"--save_path, or remove the folder")
    write_atomically(path, json.dumps(classes, indent=1).encode())


def draw_instances(path: Path, size: tuple[int, int] | None, instances: Sequence[tuple[Instance, int]],
                   small_on_top: bool = False) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Draw the instances of a photograph into one mask.

    Crowds are drawn like single instances, as the model zoo does.

    Args:
        path (Path): the photograph.
        size (tuple): (height, width) as the annotation file says; None if it does not say it.
        instances (list): each instance and its class number.
        small_on_top (bool): where instances overlap, the smaller one stays; otherwise the first one.

    Returns:
        tuple: ((H, W, 3) blue, green, red; (H, W) uint8 class numbers), and the number of instances.

    Raises:
        UNetError: the photograph is missing, damaged or of another size, or an annotation is damaged.
    """
    if not path.is_file():
        raise UNetError(f"{path} is missing; the annotation file names it")
    image = read_image(path, Channels(3)).pixels
    height, width = image.shape[:2]
    if size not in (None, (height, width)):
        raise UNetError(f"{path}: {width}x{height}, the annotation file says {size[1]}x{size[0]}")
    drawn = [(_pieces(path, instance, height, width), number) for instance, number in instances]
    drawn.reverse()     # the first one is drawn last
    if small_on_top:
        drawn.sort(key=lambda item: -np.diff(item[0]).sum())
    columns = np.zeros(width * height, np.uint8)
    for pieces, number in drawn:
        for start, end in pieces.tolist():
            columns[start:end] = number
    return (image, np.ascontiguousarray(columns.reshape(width, height).T)), len(instances)


def _pieces(path: Path, instance: Instance, height: int, width: int) -> np.ndarray:
    from src.data.preparation.coco_masks import pieces  # loads pycocotools, which other data sets do not need

    try:
        return pieces(instance.segmentation, height, width)
    except Exception as error:      # pycocotools has no common base class for its errors
        raise UNetError(f"{path}: annotation {instance.identity} cannot be drawn ({str(error)[:100]})") from None
