"""A synthetic sample data set: stacks that look like those of ISBI 2012, or cells.

``python -m src.data.synthetic --output=DIR`` writes ``train-volume.tif`` and ``train-labels.tif``. ``--kind=cells``
writes what ``src.data.synthetic_cells`` makes. Each cell is the
region of a point that moves from slice to slice; membranes are the borders of cells. Vesicles and mitochondria partly
look like membranes. Noise, shading and contrast vary from slice to slice.
"""
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import cKDTree

from src.data.stacks import IMAGE_STACK, LABEL_STACK
from src.data.synthetic_cells import write_cells
from src.data.tiff import write_stack
from src.model_utils.errors import UNetError

CELL_AREA = 2400          # pixels of a cell, on average
MEMBRANE = (1.4, 3.6)     # half the thickness of a membrane, thinnest and thickest, in pixels
VESICLES_PER_CELL = 6.0
MITOCHONDRIA_PER_CELL = 0.5
GRAY = {"cell": 165.0, "membrane": 70.0, "vesicle": 95.0, "mitochondrion": 115.0}


def make_stacks(slices: int = 10, size: int = 512, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Make image and label stacks.

    Args:
        slices (int): pages.
        size (int): height and width in pixels.
        seed (int): the same seed makes the same stacks.

    Returns:
        tuple: images and labels, (slices, size, size) uint8; labels 255 in cells, 0 on membranes.
    """
    rng = np.random.default_rng(seed)
    count = max(4, round(size * size / CELL_AREA))
    # A margin around the image, so that cells at its edges have neighbours too.
    points = _scatter(rng, round(count * 1.3 ** 2), -0.15 * size, 1.15 * size)
    drift = rng.normal(0, 2.5, points.shape)
    warp = _smooth_noise(rng, (2, size, size), 28) * 14
    images, labels = [], []
    for _ in range(slices):
        image, label = _slice(points, warp, size, rng)
        images.append(image)
        labels.append(label)
        drift = 0.8 * drift + rng.normal(0, 1.5, points.shape)
        points = points + drift
        warp = 0.95 * warp + 0.3 * 14 * _smooth_noise(rng, warp.shape, 28)
    return np.stack(images), np.stack(labels)


def _scatter(rng, count, low, high):
    """Scatter points, densely in some places and sparsely in others, so that cells are small and large."""
    candidates = rng.uniform(low, high, (6 * count, 2))
    density = _smooth_noise(rng, (64, 64), 5)
    where = ((candidates - low) / (high - low) * 63.99).astype(int)
    order = rng.exponential(size=len(candidates)) / np.exp(1.2 * density[where[:, 0], where[:, 1]])
    return candidates[np.argsort(order)[:count]]


def _slice(points, warp, size, rng):
    grid = np.stack(np.mgrid[:size, :size]).astype(np.float64)
    rough = 1.2 * _smooth_noise(rng, warp.shape, 3)
    owner = cKDTree(points).query((grid + warp + rough).reshape(2, -1).T)[1].reshape(size, size)
    between = np.zeros((size, size), bool)
    between[:-1] |= owner[:-1] != owner[1:]
    between[:, :-1] |= owner[:, :-1] != owner[:, 1:]
    border = distance_transform_edt(~between)               # pixels to the nearest border of two cells
    low, high = MEMBRANE
    half = low + (high - low) * (0.5 + 0.5 * np.tanh(_smooth_noise(rng, (size, size), 20)))
    label = np.where(border > half, 255, 0).astype(np.uint8)

    image = GRAY["cell"] + rng.normal(0, 9, len(points))[owner]
    _add_organelles(image, border, rng)
    membrane = 1 / (1 + np.exp((border - half) * 1.6))      # soft flanks, about two pixels wide
    image = image * (1 - membrane) + GRAY["membrane"] * membrane
    image += 10 * _smooth_noise(rng, (size, size), 60)      # shading
    image += 11 * _smooth_noise(rng, (size, size), 1.2) + rng.normal(0, 7, (size, size))
    image = 128 + (image - 128) * rng.uniform(0.8, 1.15) + rng.normal(0, 6)
    return np.clip(np.round(image), 0, 255).astype(np.uint8), label


def _add_organelles(image, border, rng):
    """Draw vesicles (dark rings) and mitochondria (dark, striped ellipses) inside the cells."""
    size = len(image)
    cells = size * size / CELL_AREA
    for _ in range(rng.poisson(VESICLES_PER_CELL * cells)):
        y, x = rng.integers(0, size, 2)
        r = rng.uniform(2, 4.5)
        if border[y, x] > r + 4:
            window, distance = _ellipse(size, y, x, r, r, 0.0)
            ring = np.exp(-((distance - 1) * r / 1.3) ** 2)
            image[window] += (GRAY["vesicle"] - image[window]) * ring
    for _ in range(rng.poisson(MITOCHONDRIA_PER_CELL * cells)):
        y, x = rng.integers(0, size, 2)
        angle = rng.uniform(0, np.pi)
        short = rng.uniform(6, 14)
        if border[y, x] > short + 3:
            window, distance = _ellipse(size, y, x, short, short * rng.uniform(1.2, 1.9), angle)
            rows, columns = np.mgrid[window]
            stripes = 8 * np.sin(0.9 * (np.cos(angle) * rows - np.sin(angle) * columns))
            inside = 1 / (1 + np.exp((distance - 1) * short))
            image[window] += (GRAY["mitochondrion"] + stripes - image[window]) * inside


def _ellipse(size, y, x, a, b, angle):
    """Return a window around an ellipse, and in it the distance from the centre in units of the radius."""
    reach = int(max(a, b) * 1.6) + 3
    window = slice(max(0, y - reach), min(size, y + reach)), slice(max(0, x - reach), min(size, x + reach))
    rows, columns = np.mgrid[window]
    u = np.cos(angle) * (rows - y) - np.sin(angle) * (columns - x)
    v = np.sin(angle) * (rows - y) + np.cos(angle) * (columns - x)
    return window, np.hypot(u / a, v / b)


def _smooth_noise(rng, shape, sigma):
    """Make Gaussian noise, smoothed over ``sigma`` pixels of the last two axes, with a standard deviation of one."""
    height, width = shape[-2:]
    step = max(1, int(sigma // 4))    # making smooth noise small and enlarging it is much faster
    small = rng.normal(size=(*shape[:-2], -(-height // step), -(-width // step)))
    noise = gaussian_filter(small, [0] * (len(shape) - 2) + [sigma / step] * 2, mode="wrap")
    noise = (noise - noise.mean()) / noise.std()
    if step == 1:
        return noise
    layers = [cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC)
              for layer in noise.reshape(-1, *noise.shape[-2:])]
    return np.stack(layers).reshape(shape)


def write_sample(folder: str | Path, slices: int = 10, size: int = 512, seed: int = 1) -> None:
    """Write the two stacks into ``folder``; see ``make_stacks``.

    Raises:
        UNetError: a file cannot be written.
    """
    for name, stack in zip((IMAGE_STACK, LABEL_STACK), make_stacks(slices, size, seed)):
        write_stack(Path(folder) / name, stack)


USUAL = {"membranes": (10, 512), "cells": (24, 256)}     # pages or images, and their sides


def main(argv: Sequence[str] | None = None) -> int:
    """Write a sample as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m src.data.synthetic", description="Write a sample data set.")
    parser.add_argument("--kind", choices=("membranes", "cells"), default="membranes",
                        help="membranes: stacks like those of ISBI 2012; cells: images with the numbers of their cells "
                             "(default: membranes)")
    parser.add_argument("--output", default="sample_data", help="folder to write to (default: sample_data)")
    parser.add_argument("--slices", type=int, help="pages of each stack, or images (default: 10, of cells 24)")
    parser.add_argument("--size", type=int, help="height and width in pixels (default: 512, of cells 256)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same sample (default: 1)")
    args = parser.parse_args(argv)
    write = write_cells if args.kind == "cells" else write_sample
    slices, size = (own if given is None else given
                    for given, own in zip((args.slices, args.size), USUAL[args.kind]))
    if slices < 1 or size < 64:
        parser.error("at least 1 slice of at least 64 pixels")
    try:
        write(args.output, slices, size, args.seed)
    except UNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"sample: {slices} slices of {size}x{size} in {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
