"""Augmentation policies: those of other U-Nets are made with albumentations.

A policy takes an image (H, W, C) uint8, its classes (H, W), a size (height, width), a ``numpy.random.Generator`` and
the function that resizes classes, and returns image and classes in that size.
"""
from collections.abc import Callable, Sequence
from functools import cache
from random import Random

import cv2
import numpy as np

from src.data import augment
from src.data.transforms import LabelResize, resize_image
from src.model_utils.packages import import_albumentations

Policy = Callable[[np.ndarray, np.ndarray, Sequence[int], np.random.Generator, LabelResize],
                  tuple[np.ndarray, np.ndarray]]


def default(image: np.ndarray, classes: np.ndarray, size: Sequence[int],
            rng: np.random.Generator, resize_labels: LabelResize) -> tuple[np.ndarray, np.ndarray]:
    """Apply a random scale, a random crop and random flips."""
    return augment.flip(*augment.scale_and_crop(image, classes, size, rng, resize_labels), rng)


def case_study(image: np.ndarray, classes: np.ndarray, size: Sequence[int],
               rng: np.random.Generator, resize_labels: LabelResize) -> tuple[np.ndarray, np.ndarray]:
    """Augment as MindSpore's case study on a CPU does: transpose, flip, shift, scale, rotate, quarter turns."""
    return _apply(_case_study(), image, classes, size, rng, resize_labels)


def membrane(image: np.ndarray, classes: np.ndarray, size: Sequence[int],
             rng: np.random.Generator, resize_labels: LabelResize) -> tuple[np.ndarray, np.ndarray]:
    """Augment as the Keras U-Net for membranes does: slightly rotate, shift, shear and zoom, and flip.

    The space outside the image repeats its border.
    """
    return _apply(_membrane(), image, classes, size, rng, resize_labels)


POLICIES: dict[str, Policy] = {"default": default, "case_study": case_study, "membrane": membrane}


@cache
def _case_study():
    A = import_albumentations()
    return A.Compose([
        A.Transpose(p=0.5), A.HorizontalFlip(p=0.25), A.VerticalFlip(p=0.25),
        A.Affine(translate_percent=(-0.0625, 0.0625), scale=(0.9, 1.1), rotate=(-45, 45), p=0.25,
                 border_mode=cv2.BORDER_REFLECT_101),
        A.RandomRotate90(p=0.25)])


@cache
def _membrane():
    A = import_albumentations()
    return A.Compose([
        A.Affine(rotate=(-0.2, 0.2), translate_percent=(-0.05, 0.05), shear=(-0.05, 0.05), scale=(0.95, 1.05),
                 keep_ratio=False, balanced_scale=False, p=1, border_mode=cv2.BORDER_REPLICATE),
        A.HorizontalFlip(p=0.5)])


def _apply(compose, image, classes, size, rng, resize_labels):
    image, classes = resize_image(image, size), resize_labels(classes, size)
    # Not a seed: with one, each transform would draw the same numbers as the others.
    compose.set_random_state(rng, Random(int(rng.integers(2**32))))
    result = compose(image=image, mask=classes)
    image = np.ascontiguousarray(result["image"]).reshape(*result["mask"].shape, image.shape[2])
    classes = np.ascontiguousarray(result["mask"])
    if classes.shape != tuple(size):       # an image that is not square was turned
        image, classes = resize_image(image, size), resize_labels(classes, size)
    return image, classes
