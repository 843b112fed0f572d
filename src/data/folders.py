"""Layouts of pictures and masks in folders: which files make a pair, which pairs train and which validate."""
from pathlib import Path

from src.data.image_mask_pairs import Pair
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import natural

IMAGE_FILE = "image.png"
MASK_FILE = "mask.png"

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


def list_pairs(data_dir, split, layout="folders"):
    """List the pairs that train and those that validate.

    Args:
        data_dir (str): the data set's folder.
        split (float): fraction of the sorted pairs that trains, the rest validates; 1.0 takes them from ``train``
            and ``val`` inside ``data_dir``. image_mask has these two always, membrane has ``train`` always.
        layout (str): name in ``LAYOUTS``.

    Returns:
        tuple: (training pairs, validation pairs), two lists of Pair: folders sorted by name, files by the numbers in
        their names.

    Raises:
        UNetError: no such folder, nothing in it, or a picture without a mask or the other way round.
    """
    pairs_in, has_train, has_val = LAYOUTS[layout]
    root = Path(data_dir)
    if has_val or split == 1.0:
        return pairs_in(root / "train"), pairs_in(root / "val")
    pairs = pairs_in(root / "train" if has_train else root)
    cut = int(len(pairs) * split)
    return pairs[:cut], pairs[cut:]


def _image_folders(folder):
    """NAME/image.png and NAME/mask.png."""
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


def _side_by_side(masks):
    """image/NAME.png and ``masks``/NAME.png."""
    def pairs_in(folder):
        images, labels = (_by_stem(folder / name) for name in ("image", masks))
        for own, others, other in ((images, labels, masks), (labels, images, "image")):
            alone = sorted((own[stem] for stem in own.keys() - others.keys()), key=natural)
            if alone:
                raise UNetError(f"{alone[0]}: no file of that name in {folder / other}; each picture has its mask "
                                f"({len(alone)} without partner: {first_few([path.name for path in alone])})")
        return [Pair(stem, images[stem], labels[stem]) for stem in sorted(images, key=natural)]
    return pairs_in


def _by_stem(folder):
    """Stem -> path of the pictures in a folder."""
    if not folder.is_dir():
        raise UNetError(f"no such data folder: {folder}; give the folder that holds {folder.parent.name}/{folder.name} "
                        f"with --data_path")
    files = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_ENDINGS and path.is_file() and not path.name.startswith("."):
            if path.stem in files:
                raise UNetError(f"{path}: {files[path.stem].name} has the same name but for its ending; keep one of "
                                f"them")
            files[path.stem] = path
    if not files:
        raise UNetError(f"{folder}: no pictures found; expected NAME.png")
    return files


# Layout -> pairs in a folder; whether they are in train/ whatever split says; whether val/ validates likewise.
LAYOUTS = {**dict.fromkeys(("folders", "Cell_nuclei", "COCO"), (_image_folders, False, False)),
           "image_mask": (_side_by_side("mask"), True, True), "membrane": (_side_by_side("label"), True, False)}
