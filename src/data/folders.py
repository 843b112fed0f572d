"""Layouts of image and mask files in folders: which files make a pair."""
from pathlib import Path

from src.data.image_mask_pairs import IMAGE_ENDINGS, Pair
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import natural

IMAGE_FILE = "image.png"
MASK_FILE = "mask.png"


def image_folders(folder: Path) -> list[Pair]:
    """List the pairs NAME/image.png, NAME/mask.png in a folder, sorted by name.

    Raises:
        UNetError: no such folder, no pair in it, or one file of a pair is missing.
    """
    if not folder.is_dir():
        raise UNetError(f"no such data folder: {folder}; give the folder that holds NAME/{IMAGE_FILE} and "
                        f"NAME/{MASK_FILE} with --data_path (with split 1.0 below train/ and val/)")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise UNetError(f"{folder}: no image folders; expected NAME/{IMAGE_FILE} and NAME/{MASK_FILE}")
    for path in folders:
        for file in (IMAGE_FILE, MASK_FILE):
            if not (path / file).is_file():
                raise UNetError(f"{path}: {file} is missing; each image folder holds {IMAGE_FILE} and {MASK_FILE}")
    return [Pair(path.name, path / IMAGE_FILE, path / MASK_FILE) for path in folders]


def side_by_side(folder: Path, masks: str) -> list[Pair]:
    """List the pairs image/NAME.png, MASKS/NAME.png in a folder, sorted by the numbers in their names.

    Args:
        folder: holds the folders ``image`` and ``masks``.
        masks: name of the masks' folder.

    Raises:
        UNetError: no such folder, no image in it, or an image without a mask or a mask without an image.
    """
    images, labels = (_by_stem(folder / name) for name in ("image", masks))
    for own, others, other in ((images, labels, masks), (labels, images, "image")):
        alone = sorted((own[stem] for stem in own.keys() - others.keys()), key=natural)
        if alone:
            raise UNetError(f"{alone[0]}: no file of that name in {folder / other}; each image needs a mask "
                            f"({len(alone)} without partner: {first_few([path.name for path in alone])})")
    return [Pair(stem, images[stem], labels[stem]) for stem in sorted(images, key=natural)]


def _by_stem(folder: Path) -> dict[str, Path]:
    """Return stem -> path of the images in a folder."""
    if not folder.is_dir():
        raise UNetError(f"no such data folder: {folder}; give the folder that holds {folder.parent.name}/{folder.name} "
                        f"with --data_path")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_ENDINGS and path.is_file() and not path.name.startswith("."):
            if path.stem in files:
                raise UNetError(f"{path}: {files[path.stem].name} has the same name with another ending; keep only one "
                                f"of them")
            files[path.stem] = path
    if not files:
        raise UNetError(f"{folder}: no images found; expected NAME.png")
    return files
