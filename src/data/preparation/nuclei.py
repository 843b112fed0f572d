"""The nuclei of the Data Science Bowl 2018: ``ID/images/ID.png`` and ``ID/masks/*.png``, one mask a nucleus."""
from pathlib import Path

import numpy as np

from src.data.folders import IMAGE_FILE, MASK_FILE
from src.data.image_mask_pairs import open_image, read_pixels, to_channels
from src.data.preparation.task_pool import Task
from src.model_utils.errors import UNetError


def nuclei_tasks(data_dir: str | Path, save_dir: str | Path) -> list[Task]:
    """Make the tasks that merge the masks of each image: ``save_dir/ID/image.png`` and ``save_dir/ID/mask.png``.

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
    return [Task((target / path.name / IMAGE_FILE, target / path.name / MASK_FILE), merge_masks, (path,))
            for path in folders]


def merge_masks(folder: Path) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Read an image, and merge its masks into the largest value of each pixel.

    Args:
        folder (Path): holds ``images/ID.png`` and ``masks/*.png``; ID is the folder's own name.

    Returns:
        tuple: ((H, W, 3) uint8 blue, green, red; (H, W) uint8), and the number of masks.

    Raises:
        UNetError: a file is missing or damaged, or a mask has another size than the image.
    """
    path = folder / "images" / f"{folder.name}.png"
    if not path.is_file():
        raise UNetError(f"{path} is missing")
    image = to_channels(_pixels(path), 3)
    merged = np.zeros(image.shape[:2], np.uint8)
    masks = sorted(file for file in (folder / "masks").glob("*.png") if not file.name.startswith("."))
    if not masks:
        raise UNetError(f"{folder / 'masks'}: no masks found; an image without masks cannot be used for training")
    for file in masks:
        mask = to_channels(_pixels(file), 1)[..., 0]
        if mask.shape != merged.shape:
            raise UNetError(f"{file}: {mask.shape[1]}x{mask.shape[0]}, the image is "
                            f"{merged.shape[1]}x{merged.shape[0]}; the two must have one size")
        np.maximum(merged, mask, out=merged)
    return (image, merged), len(masks)


def _pixels(path: Path) -> np.ndarray:
    with open_image(path) as file:
        return read_pixels(file, path)
