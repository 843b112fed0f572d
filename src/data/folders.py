"""Layouts of image and mask files in folders: which files make a pair."""
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from src.data.image_formats import TIFF, foreign_line, format_of, is_image
from src.data.image_mask_pairs import Pair
from src.data.image_reader import count_pages
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import natural

logger = logging.getLogger("unet")

IMAGE_FILE = "image.png"
MASK_FILE = "mask.png"
LABELS_FILE = "labels.tif"      # numbers of the objects, which not all data sets have


@dataclass(frozen=True)
class FileNames:
    """How images and masks side by side are called.

    Attributes:
        image_dir, mask_dir: their folders; "" for those of the layout.
        image_suffix, mask_suffix: what their names end with, before the ending of the file.
        skip_unpaired: files without a partner are left out, in all layouts of pairs; otherwise they are an error.
    """
    image_dir: str = ""
    mask_dir: str = ""
    image_suffix: str = ""
    mask_suffix: str = ""
    skip_unpaired: bool = False


def image_folders(folder: Path, skip_unpaired: bool = False) -> list[Pair]:
    """List the pairs NAME/image.png, NAME/mask.png in a folder, sorted by name; some may have NAME/labels.tif.

    ``skip_unpaired`` leaves out the folders that do not have both, with a warning.

    Raises:
        UNetError: no such folder, no pair in it, or one file of a pair is missing.
    """
    if not folder.is_dir():
        raise UNetError(f"no such data folder: {folder}; give the folder that holds NAME/{IMAGE_FILE} and "
                        f"NAME/{MASK_FILE} with --data_path (with split 1.0 below train/ and val/)")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise UNetError(f"{folder}: no image folders; expected NAME/{IMAGE_FILE} and NAME/{MASK_FILE}")
    if skip_unpaired:
        whole = [path for path in folders if (path / IMAGE_FILE).is_file() and (path / MASK_FILE).is_file()]
        _say_left_out(tuple(path.name for path in folders if path not in whole), folder)
        folders = whole or folders
    for path in folders:
        for file in (IMAGE_FILE, MASK_FILE):
            if not (path / file).is_file():
                raise UNetError(f"{path}: {file} is missing; each image folder holds {IMAGE_FILE} and {MASK_FILE}")
    return [Pair(path.name, path / IMAGE_FILE, path / MASK_FILE,
                 labels=path / LABELS_FILE if (path / LABELS_FILE).is_file() else None) for path in folders]


def side_by_side(folder: Path, names: FileNames) -> list[Pair]:
    """List the pairs image/NAME.png, mask/NAME.png in a folder, sorted by the numbers in their names.

    Args:
        folder (Path): holds the folders of ``names``.
        names (FileNames): names of the folders, and suffixes of the files.

    Raises:
        UNetError: no such folder, no image in it, or an image without a mask or a mask without an image.
    """
    image_dir, mask_dir = folder / names.image_dir, folder / names.mask_dir
    image_files, mask_files = _image_files(image_dir), _image_files(mask_dir)
    if image_dir == mask_dir:
        if not names.mask_suffix:
            raise UNetError(f"image_dir and mask_dir are both {image_dir}; set mask_suffix to what the names of the "
                            f"masks end with")
        mask_files = [path for path in image_files if path.stem.endswith(names.mask_suffix)]
        image_files = [path for path in image_files if not path.stem.endswith(names.mask_suffix)]
    others: list[Path] = []
    if names.skip_unpaired:
        for files, suffix in ((image_files, names.image_suffix), (mask_files, names.mask_suffix)):
            odd = [path for path in files if not path.stem.endswith(suffix)]
            others += odd if len(odd) < len(files) else []      # else the suffix is wrong
    images = _by_name(image_files, names.image_suffix, "image_suffix", others)
    masks = _by_name(mask_files, names.mask_suffix, "mask_suffix", others)
    if names.skip_unpaired and images.keys() & masks.keys():
        others += [path for own, partners in ((images, masks), (masks, images))
                   for name, path in own.items() if name not in partners]
        _say_left_out(tuple(path.name for path in others), folder)
        images = {name: path for name, path in images.items() if name in masks}
    else:
        _check_partners(images, masks, names, folder)
    return [Pair(name, images[name], masks[name]) for name in sorted(images, key=natural)]


@cache
def _say_left_out(names: tuple[str, ...], folder: Path) -> None:
    """Warn once of files without a partner, however often the folder is listed."""
    if names:
        logger.warning("WARNING: %s: the image or the mask is missing for %d files, which are left out: %s", folder,
                       len(names), first_few(names, 10))


def _image_files(folder: Path) -> list[Path]:
    """List the images in a folder, sorted by name; say which files of other kinds are left out."""
    if not folder.is_dir():
        others = sorted(path.name for path in folder.parent.glob("[!.]*") if path.is_dir())
        hint = f"; image_dir and mask_dir can name others: {first_few(others, 6)}" if others else ""
        raise UNetError(f"no such data folder: {folder}; give the folder that holds {folder.parent.name}/{folder.name} "
                        f"with --data_path{hint}")
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    left_out = foreign_line(paths)
    if left_out:
        logger.warning("WARNING: %s: %s", folder, left_out)
    files = [path for path in paths if is_image(path)]
    if not files:
        raise UNetError(f"{folder}: no images found; expected NAME.png")
    return files


def _by_name(files: Iterable[Path], suffix: str, option: str, left_out: Sequence[Path]) -> dict[str, Path]:
    """Return name -> path, the name being that of the file without suffix and ending."""
    found: dict[str, Path] = {}
    kept = set(files) - set(left_out)
    for path in (path for path in files if path in kept):
        if not path.stem.endswith(suffix):
            raise UNetError(f"{path}: the name does not end with {suffix}, as {option} says; remove the file, or set "
                            f"another {option}")
        name = path.stem.removesuffix(suffix)
        if name in found:
            raise UNetError(f"{path}: {found[name].name} has the same name with another ending; keep only one of them")
        found[name] = path
    return found


def _check_partners(images: dict[str, Path], masks: dict[str, Path], names: FileNames, folder: Path) -> None:
    """Raise UNetError for images without a mask and masks without an image."""
    for own, others, other_dir in ((images, masks, names.mask_dir), (masks, images, names.image_dir)):
        alone = sorted(own.keys() - others.keys(), key=lambda name: natural(own[name]))
        if alone:
            hint = _missing_suffix(images, masks, "mask_suffix", names.mask_suffix) or _missing_suffix(
                masks, images, "image_suffix", names.image_suffix)
            names_alone = first_few([own[name].name for name in alone], 10)
            raise UNetError(f"{own[alone[0]]}: no file of that name in {folder / other_dir}; each image needs a mask "
                            f"({len(alone)} without partner: {names_alone}){hint}")


def _missing_suffix(shorter: dict[str, Path], longer: dict[str, Path], option: str, suffix: str) -> str:
    """Say which suffix would give every name of ``shorter`` a partner; an empty text if there is none."""
    if not shorter:
        return ""
    first = next(iter(shorter))
    rests = [name[len(first):] for name in longer if name.startswith(first)]
    rest = next((rest for rest in rests if all(name + rest in longer for name in shorter)), "")
    return f"; set {option} to {rest + suffix}" if rest else ""


def with_pages(pairs: Iterable[Pair]) -> list[Pair]:
    """Return a pair NAME[N] for each page N, from 0, of the files that have several, and the other pairs as they are.

    Raises:
        UNetError: an image and its mask have different numbers of pages.
    """
    result, faults = [], []
    for pair in pairs:
        pages, mask_pages = _count_pages(pair.image), _count_pages(pair.mask)
        if pages != mask_pages:
            faults.append(f"{pair.image} has {pages}, {pair.mask} has {mask_pages}")
        result += [pair] if pages == 1 else [replace(pair, name=f"{pair.name}[{number}]", page=number)
                                             for number in range(pages)]
    if faults:
        raise UNetError(f"the numbers of pages of an image and its mask must agree: {first_few(faults, 10)}"
                        + f" ({len(faults)} such files in all)" * (len(faults) > 10))
    return result


def _count_pages(path: Path) -> int:
    try:
        return count_pages(path) if format_of(path) == TIFF else 1
    except UNetError:       # a damaged file is named when it is read
        return 1
