"""One layout of those that a folder fits, or an error that says what to do."""
import logging
import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from src.data.folders import IMAGE_FILE, MASK_FILE
from src.data.image_formats import FORMATS, foreign_line
from src.model_utils.errors import UNetError, first_few
from src.planning.layouts import NUCLEI, USUAL_NAMES, Layout
from src.planning.pairing import MASK, RESULT, TEST, role
from src.planning.tree import Tree, join

logger = logging.getLogger("unet")

# Options that say which layout is meant.
PICKING = ("dataset", "image_dir", "mask_dir", "image_suffix", "mask_suffix", "anno_json", "coco_dir")
_SAME = {"folders": {"folders", "Cell_nuclei", "COCO"}}      # names of one layout
MOST_RENAMINGS = 3
MOST_NAMED = 6          # layouts in a message


def pick(tree: Tree, found: list[Layout], given: Mapping[str, Any]) -> Layout:
    """Return the layout that is meant.

    Args:
        tree: the names of all files.
        found: the layouts that fit.
        given: the options that the user gave.

    Raises:
        UNetError: none fits, or several do; the message says what to do.
    """
    named = {name: given[name] for name in PICKING if name in given}
    fitting = [layout for layout in found if all(_agrees(layout, name, value) for name, value in named.items())]
    if not fitting and "dataset" in named:      # the reader says what it misses
        return Layout("as the options say", "", {}, 0)
    if not fitting:
        for line in tree.lines():
            logger.info("%s", line)
        raise UNetError(f"{tree.root}: no layout fits what is listed above; {nearest(tree)}")
    if len(fitting) > 1:
        named_all = [f"{layout.title}: {picking_options(tree, layout, fitting)}" for layout in fitting]
        raise UNetError(f"{tree.root}: {len(fitting)} layouts fit; give --config_path=auto and the options of the one "
                        f"that is meant: {'; '.join(named_all[:MOST_NAMED])}" + "; ..." * (len(fitting) > MOST_NAMED))
    return fitting[0]


def _agrees(layout: Layout, name: str, value: Any) -> bool:
    own = _value(layout, name)
    if name == "dataset":
        return value in _SAME.get(own, {own}) | ({"Cell_nuclei"} if layout.raw == NUCLEI else set())
    if name in ("image_dir", "mask_dir", "anno_json", "coco_dir") and own and value:     # paths
        return os.path.normpath(str(own)) == os.path.normpath(str(value))
    return own == value


def _value(layout: Layout, name: str) -> Any:
    """Return the value of an option by which a layout is read; an empty text for options that it does not have."""
    return layout.options.get(name, USUAL_NAMES.get(layout.options["dataset"], {}).get(name, ""))


def picking_options(tree: Tree, layout: Layout, others: list[Layout]) -> str:
    """Return the options that pick a layout among others, as on the command line."""
    options = [f"--data_path={tree.path(layout.root)}"] if len({one.root for one in others}) > 1 else []
    options += [f"--{name}={value}" for name in PICKING
                if len({_value(one, name) for one in others}) > 1 and (value := _value(layout, name))]
    return " ".join(options) or f"--dataset={layout.options['dataset']}"


def nearest(tree: Tree) -> str:
    """Say what the layout that is nearest to a folder would need, and what to rename or add."""
    with_images = {folder: names for folder in tree.files if (names := tree.images(folder))}
    if not with_images:
        left_out = foreign_line(tree.path(folder, name) for folder, names in tree.files.items() for name in names)
        return f"it holds no image; {FORMATS} files are read" + (f" ({left_out})" if left_out else "")
    pairs = _in_one_folder_each(with_images)
    if pairs:
        return (f"the nearest is dataset folders, which needs NAME/{IMAGE_FILE} and NAME/{MASK_FILE}; rename: "
                + _renamings(pairs))
    masks = [folder for folder in with_images if role(PurePosixPath(folder).name) == MASK]
    images = [folder for folder in with_images if role(PurePosixPath(folder).name) not in (MASK, TEST, RESULT)]
    if not masks or not images:
        folder = images[0] if images else next(iter(with_images))
        at = tree.path(folder).parent if folder else tree.root
        name = PurePosixPath(folder).name or "image"
        first = with_images[folder][0]
        return (f"the nearest is dataset image_mask, which needs a mask for each image; there are "
                f"{len(with_images[folder])} images in {tree.path(folder)} and no masks that belong to them: put the "
                f"mask of {first} into {at / 'mask' / PurePosixPath(first).with_suffix('.png')}"
                + ("" if folder else f" and move the images into {at / name}"))
    # The folders that are next to each other.
    image_dir, mask_dir = max(((one, other) for one in images for other in masks),
                              key=lambda two: _common_parts(*two))
    renamings = _by_numbers(with_images[image_dir], with_images[mask_dir], mask_dir)
    rest = (f"rename: {_renamings(renamings)}" if renamings else
            f"give each mask the name of its image, as {first_few(with_images[image_dir], 2)}, not "
            f"{first_few(with_images[mask_dir], 2)}")
    return (f"the nearest is dataset image_mask, which needs masks of the names of the images; {tree.path(image_dir)} "
            f"and {tree.path(mask_dir)} have other names; {rest}")


def _common_parts(one: str, other: str) -> int:
    return sum(a == b for a, b in zip(one.split("/"), other.split("/"))) - abs(one.count("/") - other.count("/"))


def _in_one_folder_each(with_images: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    """Return renamings for folders that each hold one image and its mask; none if they are not such folders."""
    pairs = []
    for folder, names in with_images.items():
        masks = [name for name in names if role(PurePosixPath(name).stem) == MASK]
        if not folder or len(names) != 2 or len(masks) != 1:
            return []
        image = next(name for name in names if name not in masks)
        pairs += [(join(folder, image), join(folder, IMAGE_FILE)), (join(folder, masks[0]), join(folder, MASK_FILE))]
    return [(old, new) for old, new in pairs if old != new]


def _by_numbers(images: list[str], masks: list[str], mask_dir: str) -> list[tuple[str, str]]:
    """Return the renamings of masks that have the numbers of images in their names."""
    of_number = {tuple(re.findall(r"\d+", name)): name for name in images}
    pairs = [(mask, of_number.get(tuple(re.findall(r"\d+", mask)))) for mask in masks]
    return [(join(mask_dir, mask), join(mask_dir, PurePosixPath(image).stem + PurePosixPath(mask).suffix))
            for mask, image in pairs if image and re.search(r"\d", mask)]


def _renamings(pairs: list[tuple[str, str]]) -> str:
    shown = ", ".join(f"{old} to {new}" for old, new in pairs[:MOST_RENAMINGS])
    return shown + (f" and {len(pairs) - MOST_RENAMINGS} more alike" if len(pairs) > MOST_RENAMINGS else "")
