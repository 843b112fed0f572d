"""Annotation files of COCO's instances: what they say about photographs, and what is wrong with them."""
import logging
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from src.model_utils.errors import UNetError, first_few
from src.model_utils.inputs import MOST_ANNOTATIONS, read_json

logger = logging.getLogger("unet")


@dataclass(frozen=True)
class Instance:
    """An object in a photograph.

    Attributes:
        identity: its id in the file, for messages.
        category: the id of its category.
        segmentation: its outlines or its run-length code; see ``src.data.preparation.coco_masks.pieces``.
    """
    identity: str
    category: str
    segmentation: Any


@dataclass
class Photograph:
    """A photograph that an annotation file names.

    Attributes:
        file_name: its path below the folder of the photographs, with slashes.
        size: (height, width) as the file says; None if it says nothing.
        instances: the objects, in the order of the file.
    """
    file_name: str
    size: tuple[int, int] | None
    instances: list[Instance] = field(default_factory=list)


@dataclass(frozen=True)
class AnnotationFile:
    """The content of an annotation file.

    Attributes:
        path: the file.
        photographs: in the order of the file.
        categories: id -> name.
    """
    path: str
    photographs: list[Photograph]
    categories: dict[str, str]


def read_annotations(path: str) -> AnnotationFile:
    """Read an annotation file. Ids may be numbers or texts.

    Parts that cannot be drawn, as they have no outline or fewer than three points, are left out and counted in a
    warning.

    Raises:
        UNetError: it is no annotation file, an id is there twice, or an annotation belongs to no image or category.
    """
    def made(content: Any) -> AnnotationFile:
        photographs: dict[str, Photograph] = {}
        for image in content["images"]:
            size = (int(image["height"]), int(image["width"])) if "height" in image and "width" in image else None
            file_name = str(image["file_name"]).replace("\\", "/")
            _add(photographs, image["id"], Photograph(file_name, size), f"{path}: image")
        categories: dict[str, str] = {}
        for category in content["categories"]:
            _add(categories, category["id"], str(category["name"]), f"{path}: category")
        _add_instances(path, content["annotations"], photographs, categories)
        return AnnotationFile(path, list(photographs.values()), categories)

    return read_json(path, made, "not an annotation file of COCO's instances", most=MOST_ANNOTATIONS)


def _add(items: dict[str, Any], identity: Any, item: Any, what: str) -> None:
    key = _key(identity)
    if key in items:
        raise UNetError(f"{what} id {key} is there twice; if files were put together, number them anew")
    items[key] = item


def _key(identity: Any) -> str:
    """Return an id as text: 7, 7.0 and "7" are the same."""
    if isinstance(identity, float) and identity.is_integer():
        identity = int(identity)
    if isinstance(identity, bool) or not isinstance(identity, (int, str)):
        raise ValueError(f"the id {identity!r}")
    return str(identity)


def _add_instances(path: str, annotations: Iterable[dict], photographs: dict[str, Photograph],
                   categories: dict[str, str]) -> None:
    seen: dict[str, Instance] = {}
    faults, left_out = [], Counter[str]()
    count = 0
    for count, annotation in enumerate(annotations, 1):
        segmentation, dropped = _drawable(annotation.get("segmentation"))
        identity = _key(annotation.get("id", f"number {count}"))
        instance = Instance(identity, _key(annotation["category_id"]), segmentation)
        _add(seen, instance.identity, instance, f"{path}: annotation")
        image = _key(annotation["image_id"])
        if image not in photographs:
            faults.append(f"annotation {instance.identity} belongs to image {image}")
        elif instance.category not in categories:
            faults.append(f"annotation {instance.identity} is of category {instance.category}")
        elif segmentation is not None:
            photographs[image].instances.append(instance)
        left_out[instance.identity] += dropped
    if faults:
        raise UNetError(f"{path}: {first_few(faults, 10)}, which the file does not have ({len(faults)} such "
                        f"annotations)")
    lost = [identity for identity in left_out if left_out[identity]]
    if count and not any(photograph.instances for photograph in photographs.values()):
        raise UNetError(f"{path}: none of the {count} annotations has an outline that can be drawn; boxes and key "
                        f"points alone make no masks")
    if lost:
        logger.warning("WARNING: %s: parts with fewer than three points are left out: %d, of the annotations %s", path,
                       left_out.total(), first_few(lost, 10))


def _drawable(segmentation: Any) -> tuple[Any, int]:
    """Return a segmentation without the parts that have no area, None for nothing, and the number of those parts."""
    if segmentation is None:
        return None, 1
    if not isinstance(segmentation, list):
        return segmentation, 0
    parts = [part for part in segmentation if not _is_degenerate(part)]
    return parts or None, len(segmentation) - len(parts) or (not parts)


def _is_degenerate(polygon: Any) -> bool:
    """Return whether a polygon of numbers has fewer than three points, or one that is nowhere."""
    return (isinstance(polygon, list) and all(isinstance(number, (int, float)) for number in polygon)
            and (len(polygon) < 6 or not all(map(math.isfinite, polygon))))
