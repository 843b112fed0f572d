"""The nuclei of the Data Science Bowl 2018: ``ID/images/ID.png`` and ``ID/masks/*.png``, one mask a nucleus."""
from pathlib import Path

import numpy as np

from src.data.channels import Channels
from src.data.folders import IMAGE_FILE, LABELS_FILE, MASK_FILE
from src.data.image_reader import read_image
from src.data.normalization import RANGE, Normalization
from src.data.preparation.task_pool import Task
from src.model_utils.errors import UNetError


def nuclei_tasks(data_dir: str | Path, save_dir: str | Path) -> list[Task]:
    """Make the tasks that merge the masks of each image: image.png, mask.png and labels.tif in ``save_dir/ID``.

    Args:
        data_dir (str): folder of the folders ID.
        save_dir (str): folder of the results; with ``data_dir`` they are beside the raw files.

    Raises:
        UNetError: no such folder, or no nuclei in it.
    """
    source, target = Path(data_dir), Path(save_dir)
    if not source.is_dir():
        raise UNetError(f"no such data folder: {source}; give the folder that holds ID/images and ID/masks with "
                        f"--data_path")
    folders = [path for path in sorted(source.iterdir())
               if path.is_dir() and not path.name.startswith(".") and path.resolve() != target.resolve()]
    if not any((path / "images").is_dir() or (path / IMAGE_FILE).is_file() for path in folders):
        raise UNetError(f"{source}: no ID/images/ID.png found; give the folder that holds the folders ID (such as "
                        f"stage1_train) with --data_path")
    return [Task(tuple(target / path.name / file for file in (IMAGE_FILE, MASK_FILE, LABELS_FILE)), merge_masks,
                 (path,)) for path in folders]


def merge_masks(folder: Path) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], int]:
    """Read an image, and merge its masks into the largest value of each pixel, and into the numbers of the nuclei.

    A pixel of several masks is of the first of them.

    Args:
        folder (Path): holds ``images/ID.png`` and ``masks/*.png``; ID is the folder's own name.

    Returns:
        tuple: ((H, W, 3) uint8 or uint16 blue, green, red; (H, W) uint8; (H, W) uint16), and the number of masks.

    Raises:
        UNetError: a file is missing or damaged, or a mask has another size than the image.
    """
    path = folder / "images" / f"{folder.name}.png"
    if not path.is_file():
        raise UNetError(f"{path} is missing")
    stored = read_image(path, Channels(3))
    image = stored.pixels if stored.pixels.dtype == np.uint16 else Normalization(RANGE).apply(stored)
    merged, labels = np.zeros(image.shape[:2], np.uint8), np.zeros(image.shape[:2], np.uint16)
    masks = sorted(file for file in (folder / "masks").glob("*.png") if not file.name.startswith("."))
    if not masks:
        raise UNetError(f"{folder / 'masks'}: no masks found; an image without masks cannot be used for training")
    for number, file in enumerate(masks, 1):
        mask = Normalization(RANGE).apply(read_image(file, Channels(1)))[..., 0]
        if mask.dtype != np.uint8:
            raise UNetError(f"{file}: numbers of more than 8 bits; expected a mask of 8 bits, 0 and 255")
        if mask.shape != merged.shape:
            raise UNetError(f"{file}: {mask.shape[1]}x{mask.shape[0]}, the image is "
                            f"{merged.shape[1]}x{merged.shape[0]}; the two must have one size")
        np.maximum(merged, mask, out=merged)
        labels[(mask > mask.max() // 2) & (labels == 0)] = number
    return (image, merged, labels), len(masks)
