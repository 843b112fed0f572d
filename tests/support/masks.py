"""Masks as programs write them, and what is read of them."""
import pickle

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data.class_values import parse
from src.data.mask_classes import MaskClasses
from src.data.mask_pixels import MaskOptions, read_mask
from src.model_utils.errors import UNetError
from src.model_utils.options import to_class_values

COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 130, 0]], np.uint8)


def discs(seed=0, count=6, size=64, numbered=True):
    """(size, size) numbers of discs that do not touch, or only 0 and 1."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((size, size), np.int32)
    for number, place in enumerate(rng.permutation(9)[:count], 1):
        cv2.circle(mask, (12 + 20 * int(place % 3), 12 + 20 * int(place // 3)), int(rng.integers(5, 9)),
                   number if numbered else 1, -1)
    return mask


def save(path, pixels, **options):
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, **options)
    else:
        (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **options)
    return path


def palette_image(indices, colours):
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette(np.asarray(colours, np.uint8).ravel().tolist())
    return image


def read(paths, num_classes=2, values=None, ignore=None, invert=None):
    """The classes of all masks, and the MaskClasses."""
    paths = paths if isinstance(paths, list) else [paths]
    named = parse(to_class_values(values), num_classes) if values else None
    masks = MaskClasses(lambda index: read_mask(paths[index], 0, invert), len(paths),
                        MaskOptions(num_classes, named, ignore, invert))
    masks = pickle.loads(pickle.dumps(masks))       # as it is sent to the processes that count classes
    return [masks.classes(read_mask(path, 0, invert)) for path in paths], masks


def refusal(*args, **options):
    with pytest.raises(UNetError) as caught:
        read(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
