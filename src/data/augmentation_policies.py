"""Augmentations under a name: what users of other U-Nets know, by albumentations and its random numbers.

A recipe takes a picture (H, W, C) uint8, its classes (H, W), the size (height, width) and a ``numpy.random.Generator``,
and gives both in that size.
"""
from functools import cache
from random import Random

import cv2
import numpy as np

from src.data import augment
from src.data.transforms import resize_classes, resize_image


def default(image, classes, size, rng):
    """Random scale, crop and flips."""
    return augment.flip(*augment.scale_and_crop(image, classes, size, rng), rng)


def case_study(image, classes, size, rng):
    """Of MindSpore's CPU case study: transposition, flips, shift-scale-rotate and quarter turns."""
    return _apply(_case_study(), image, classes, size, rng)


def membrane(image, classes, size, rng):
    """Of the Keras U-Net for membranes: small rotation, shifts, shear and zoom, and a flip; borders are repeated."""
    return _apply(_membrane(), image, classes, size, rng)


RECIPES = {"default": default, "case_study": case_study, "membrane": membrane}


@cache
def _case_study():
    import albumentations as A

    return A.Compose([
        A.Transpose(p=0.5), A.HorizontalFlip(p=0.25), A.VerticalFlip(p=0.25),
        A.Affine(translate_percent=(-0.0625, 0.0625), scale=(0.9, 1.1), rotate=(-45, 45), p=0.25,
                 border_mode=cv2.BORDER_REFLECT_101),
        A.RandomRotate90(p=0.25)])


@cache
def _membrane():
    import albumentations as A

    return A.Compose([
        A.Affine(rotate=(-0.2, 0.2), translate_percent=(-0.05, 0.05), shear=(-0.05, 0.05), scale=(0.95, 1.05),
                 keep_ratio=False, balanced_scale=False, p=1, border_mode=cv2.BORDER_REPLICATE),
        A.HorizontalFlip(p=0.5)])


def _apply(compose, image, classes, size, rng):
    image, classes = resize_image(image, size), resize_classes(classes, size)
    # Not by a seed: with one, each transform draws the same numbers as the others.
    compose.set_random_state(rng, Random(int(rng.integers(2**32))))
    result = compose(image=image, mask=classes)
    image = np.ascontiguousarray(result["image"]).reshape(*result["mask"].shape, image.shape[2])
    classes = np.ascontiguousarray(result["mask"])
    if classes.shape != tuple(size):       # turned, where it is not square
        image, classes = resize_image(image, size), resize_classes(classes, size)
    return image, classes
