"""A synthetic sample data set of objects: bright cells on dark ground, many of which touch.

``python -m src.data.synthetic --kind=cells --output=DIR`` writes ``NAME/image.png``, ``NAME/mask.png`` and
``NAME/labels.tif`` with the numbers of the cells, as ``preprocess_dataset.py`` makes them of nuclei. Cells are ellipses
of different sizes and brightnesses with soft edges and uneven insides; noise and shading vary from image to image.
"""
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from src.data.folders import IMAGE_FILE, LABELS_FILE, MASK_FILE
from src.data.tiff import write_stack
from src.model_utils.files import write_atomically

AREA_PER_CELL = 900         # pixels of the image, on average
RADII = (6.0, 13.0)         # of a cell, in pixels
LONGEST = 1.7               # ratio of the two radii of the longest cell
OVERLAP = 0.15              # share of a cell that may lie on others; they keep it


def make_cells(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Make an image and its label image.

    Args:
        size: height and width in pixels.
        rng: random numbers.

    Returns:
        tuple: (size, size) uint8 gray values, and (size, size) uint16 numbers of the cells, 0 for the background.
    """
    labels, light = np.zeros((size, size), np.uint16), np.zeros((size, size))
    rows, columns = np.mgrid[:size, :size]
    number = 0
    for _ in range(round(2 * size * size / AREA_PER_CELL)):
        short, ratio, angle = rng.uniform(*RADII), rng.uniform(1, LONGEST), rng.uniform(0, np.pi)
        row, column = rng.uniform(0, size, 2)
        along = np.cos(angle) * (rows - row) + np.sin(angle) * (columns - column)
        across = np.cos(angle) * (columns - column) - np.sin(angle) * (rows - row)
        cell = np.hypot(along / (short * ratio), across / short) < 1
        if np.count_nonzero(cell & (labels > 0)) > OVERLAP * np.count_nonzero(cell):
            continue
        number += 1
        labels[cell & (labels == 0)] = number
        light[labels == number] = rng.uniform(60, 150)
    grain = gaussian_filter(rng.normal(size=light.shape), 2)
    light *= 1 + 0.25 * grain / grain.std()
    shade = gaussian_filter(rng.normal(size=light.shape), size / 6)
    image = 30 + gaussian_filter(light, 1.2) + 8 * shade / shade.std() + rng.normal(0, 6, light.shape)
    return np.clip(np.round(image), 0, 255).astype(np.uint8), labels


def write_cells(folder: str | Path, images: int, size: int, seed: int) -> None:
    """Write a sample of ``images`` images into ``folder``; the same seed makes the same sample.

    Raises:
        UNetError: a file cannot be written.
    """
    for number in range(images):
        place = Path(folder) / f"cells_{number:03d}"
        image, labels = make_cells(size, np.random.default_rng((seed, number)))
        for file, pixels in ((IMAGE_FILE, image), (MASK_FILE, (labels > 0) * np.uint8(255))):
            write_atomically(place / file, cv2.imencode(".png", pixels)[1].tobytes())
        write_stack(place / LABELS_FILE, labels)
