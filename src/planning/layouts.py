"""Which layouts of data sets a folder fits, by the names of its files."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from src.data.folders import IMAGE_FILE, MASK_FILE
from src.data.layouts import TRAIN, VAL
from src.data.stacks import FOLDS, IMAGE_STACK, LABEL_STACK
from src.model_utils.errors import UNetError, first_few
from src.model_utils.inputs import MOST_ANNOTATIONS, read_json
from src.planning.pairing import Pairing, find_pairings, is_for_tests, is_for_validation, is_left_out
from src.planning.tree import Tree, join

NUCLEI, COCO = "nuclei", "COCO"     # raw data that have to be prepared
# Of images and masks side by side.
USUAL_NAMES = {dataset: {"image_dir": "image", "mask_dir": masks, "image_suffix": "", "mask_suffix": ""}
               for dataset, masks in (("image_mask", "mask"), ("membrane", "label"))}
MOST_JSON = 20          # files of a folder that may be annotations
DEEPEST_ROOT = 2        # levels of folders in which a data set is looked for


@dataclass(frozen=True)
class Layout:
    """A layout that fits.

    Attributes:
        title: what the files are, in words.
        root: the folder of the data set, below the one that was given; "" is that one.
        options: the options that read it.
        images: number of images with a mask.
        raw: NUCLEI or COCO for data that have to be prepared first; "" for others.
        without_mask, without_image: paths in the tree of files that have no partner.
        notes: what else should be said.
    """
    title: str
    root: str
    options: dict[str, Any]
    images: int
    raw: str = ""
    without_mask: list[str] = field(default_factory=list)
    without_image: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_layouts(tree: Tree, is_mask: Callable[[Path], bool]) -> list[Layout]:
    """Find the layouts that the files fit: those of the folder itself, else of the folders in it.

    Args:
        tree: the names of all files.
        is_mask: says of a file whether it holds a mask.
    """
    roots = [""]
    for _ in range(DEEPEST_ROOT + 1):
        found = [layout for root in roots for layout in _layouts_at(tree, root, is_mask)]
        if found:
            return found
        roots = [folder for root in roots for folder in tree.children(root)
                 if not is_left_out(PurePosixPath(folder).name)][:100]
    return []


def _layouts_at(tree: Tree, root: str, is_mask: Callable[[Path], bool]) -> list[Layout]:
    found = [*_stacks(tree, root), *_folders(tree, root), *_nuclei(tree, root), *_coco(tree, root)]
    stacks = {IMAGE_STACK, LABEL_STACK} if any(layout.options["dataset"] == "ISBI" for layout in found) else set()
    pairings = list(_sides(tree, root, is_mask, stacks))
    prepared = {layout.root for layout in found if layout.options["dataset"] == "folders" and not layout.raw}
    # Prepared nuclei may lie beside the raw files.
    return [layout for layout in found if not (layout.raw == NUCLEI and layout.root in prepared)] + pairings


def _stacks(tree: Tree, root: str) -> Iterator[Layout]:
    from src.data.image_reader import count_pages

    if {IMAGE_STACK, LABEL_STACK} <= set(tree.files[root]):
        pages = count_pages(tree.path(root, IMAGE_STACK))
        if pages >= FOLDS:      # fewer are read as a pair of files with pages
            yield Layout(f"{IMAGE_STACK} and {LABEL_STACK}, {pages} pages", root, {"dataset": "ISBI"}, pages)


def _folders(tree: Tree, root: str) -> Iterator[Layout]:
    """Find NAME/image.png and NAME/mask.png; in train/ and val/ too."""
    parts = {part: _image_folders(tree, join(root, part) if part else root) for part in ("", TRAIN, VAL)}
    title = f"NAME/{IMAGE_FILE} and NAME/{MASK_FILE}"
    if parts[TRAIN][0] and parts[VAL][0]:
        whole, without, others = (sum((parts[part][kind] for part in (TRAIN, VAL)), []) for kind in range(3))
        yield Layout(f"{title}, in {TRAIN}/ and {VAL}/", root, {"dataset": "folders", "split": 1.0}, len(whole),
                     without_mask=without, without_image=others)
    elif parts[TRAIN][0] or parts[""][0]:
        part = TRAIN if parts[TRAIN][0] else ""
        whole, without, others = parts[part]
        yield Layout(title, join(root, part) if part else root, {"dataset": "folders"}, len(whole),
                     without_mask=without, without_image=others, notes=_not_read(tree, root) if part else [])


def _image_folders(tree: Tree, folder: str) -> tuple[list[str], list[str], list[str]]:
    """Return the names of folders with an image and a mask, images without a mask, and masks without an image."""
    has = {name: [file in tree.files.get(join(folder, name), ()) for file in (IMAGE_FILE, MASK_FILE)]
           for name in tree.folders.get(folder, ())}
    return ([name for name in has if has[name] == [True, True]],
            [join(folder, f"{name}/{IMAGE_FILE}") for name in has if has[name] == [True, False]],
            [join(folder, f"{name}/{MASK_FILE}") for name in has if has[name] == [False, True]])


def _nuclei(tree: Tree, root: str) -> Iterator[Layout]:
    """Find ID/images/ID.png and ID/masks/*.png, one mask an object."""
    names = [name for name in tree.folders.get(root, ())
             if f"{name}.png" in tree.files.get(join(root, f"{name}/images"), ())]
    masked = [name for name in names if tree.images(join(root, f"{name}/masks"))]
    if masked:
        yield Layout("ID/images/ID.png and ID/masks/*.png, a mask for each object", root, {"dataset": "folders"},
                     len(masked), NUCLEI,
                     [join(root, f"{name}/images/{name}.png") for name in names if name not in masked])


def _coco(tree: Tree, root: str) -> Iterator[Layout]:
    """Find annotation files of COCO's instances, and the folders of their photographs."""
    named: dict[str, list[str]] = {}
    for folder in (root, *tree.children(root)):
        files = [name for name in tree.files.get(folder, ()) if name.lower().endswith(".json")]
        # Other programs write a file for each image.
        for name in sorted(files, key=lambda name: "instances" not in name.lower())[:MOST_JSON]:
            if names := _photographs(tree.path(folder, name)):
                named[join(folder, name)] = names
    found = {path: _folder_of(tree, root, names) for path, names in named.items()}
    usable = {path: folder for path, folder in found.items() if folder is not None}
    val = [path for path in usable if is_for_validation(path.removeprefix(root))]
    train = [path for path in usable if path not in val and not is_for_tests(path.removeprefix(root))]
    if not train and len(usable) == 1:
        train, val = list(usable), []
    for path in train:
        options: dict[str, Any] = {"dataset": "COCO", "anno_json": str(tree.path(path)),
                                   "coco_dir": str(tree.path(usable[path]))}
        notes = []
        if len(train) == len(val) == 1:
            options |= {"split": 1.0, "val_anno_json": str(tree.path(val[0])),
                        "val_coco_dir": str(tree.path(usable[val[0]]))}
        elif val:
            notes = [f"it is not clear which annotations validate ({first_few(val)}): none of them does, unless "
                     f"--split=1.0 --val_anno_json=FILE --val_coco_dir=FOLDER names one"]
        yield Layout(f"annotations of COCO ({PurePosixPath(path).name}) and photographs", root, options,
                     len(named[path]), COCO, notes=notes)


def _photographs(path: Path) -> list[str]:
    """Return the names of the photographs in an annotation file of COCO's instances; none of another file."""
    def names(content: Any) -> list[str]:
        if not any("segmentation" in annotation for annotation in content["annotations"]) or not content["categories"]:
            return []
        return [str(image["file_name"]).replace("\\", "/") for image in content["images"]]

    try:
        return read_json(path, names, most=MOST_ANNOTATIONS)
    except UNetError:
        return []


def _folder_of(tree: Tree, root: str, names: list[str]) -> str | None:
    """Return the folder that holds most of the photographs, and at least half of them."""
    wanted = {PurePosixPath(name).name for name in names}
    inside = (folder for folder in tree.files if folder == root or folder.startswith(join(root, "") if root else ""))
    best = max(inside, key=lambda folder: len(wanted & set(tree.files[folder])), default=None)
    return best if best is not None and 2 * len(wanted & set(tree.files[best])) >= len(wanted) else None


def _sides(tree: Tree, root: str, is_mask: Callable[[Path], bool], leave_out: set[str]) -> Iterator[Layout]:
    """Find images and masks side by side: in two folders, or in one; in train/ and val/ too."""
    for pairing in find_pairings(tree, root, is_mask):
        if not (leave_out and pairing.image_dir == "."):
            yield _side(root, pairing, "image_mask", [])
    in_val = {pairing.names: pairing for pairing in find_pairings(tree, join(root, VAL), is_mask)}
    for pairing in find_pairings(tree, join(root, TRAIN), is_mask):
        other = in_val.get(pairing.names)
        if other:
            both = Pairing(root, *pairing.names, pairing.images + other.images,
                           pairing.without_mask + other.without_mask, pairing.without_image + other.without_image)
            yield _side(root, both, "image_mask", [f"in {TRAIN}/ and {VAL}/"])
        else:
            yield _side(root, pairing, "membrane", [f"in {TRAIN}/"], _not_read(tree, root))


def _not_read(tree: Tree, root: str) -> list[str]:
    """Say which folders beside train have a name of images that validate, and are not read."""
    return [f"{tree.path(root, name)} is not read; called {VAL}, and with folders and files named as in {TRAIN}, it "
            f"would validate" for name in tree.folders.get(root, ()) if is_for_validation(name)]


def _side(root: str, pairing: Pairing, dataset: str, where: list[str], notes: list[str] | None = None) -> Layout:
    usual = USUAL_NAMES[dataset]
    options = {name: value for (name, default), value in zip(usual.items(), pairing.names) if value != default}
    title = (f"images and masks in one folder, the masks' names end with {pairing.mask_suffix}"
             if pairing.image_dir == "." else f"images in {pairing.image_dir}/, masks in {pairing.mask_dir}/")
    return Layout(", ".join([title, *where]), root, {"dataset": dataset, **options}, pairing.images, "",
                  pairing.without_mask, pairing.without_image, notes or [])
