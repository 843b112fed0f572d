"""ISBI stacks to PNG slices in either layout of folders, and back, bit for bit."""
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data.folders import list_pairs
from src.data.image_mask_pairs import open_image
from src.data.preparation.task_pool import Task
from src.data.stacks import IMAGE_STACK, LABEL_STACK
from src.data.tiff import read_stack
from src.model_utils.errors import UNetError

TEST_STACK = "test-volume.tif"


@dataclass(frozen=True)
class Slices:
    """Where the slices lie in a layout of ``src.data.folders``, and how they are called.

    Args:
        layout (str): its name.
        labels (str): folder of the labels; the images are in ``image``.
        test (str): folder of the slices without labels.
        digits (int): to which the numbers are filled up with zeros.
        validates_every (int): each so-many-th slice, from the first on, goes to ``val``; the others, and with 0 all, to
            ``train``.
    """
    layout: str
    labels: str
    test: str
    digits: int
    validates_every: int = 0

    def part(self, number):
        """The part to which a slice belongs."""
        return "val" if self.validates_every and number % self.validates_every == 0 else "train"

    def name(self, number):
        """The file name of a slice."""
        return f"{number:0{self.digits}d}.png"


# The layout and the split of the MindSpore case study on a CPU, and the layout of the membrane data set.
IMAGE_MASK = Slices("image_mask", "mask", "test_imgs", digits=5, validates_every=3)
MEMBRANE = Slices("membrane", "label", "test", digits=1)


def slice_tasks(data_dir, save_dir, slices):
    """Tasks that write the slices of ``train-volume.tif``, ``train-labels.tif`` and, if there, ``test-volume.tif``."""
    source, target = Path(data_dir), Path(save_dir)
    images, labels = _read_pair(source)
    tasks = []
    for number, pair in enumerate(zip(images, labels)):
        part, name = target / slices.part(number), slices.name(number)
        tasks.append(Task((part / "image" / name, part / slices.labels / name), as_they_are, pair))
    if (source / TEST_STACK).exists():
        tasks += [Task((target / slices.test / slices.name(number),), as_they_are, (image,))
                  for number, image in enumerate(read_stack(source / TEST_STACK))]
    return tasks


def _read_pair(folder):
    images, labels = (read_stack(folder / name) for name in (IMAGE_STACK, LABEL_STACK))
    if images.shape != labels.shape:
        raise UNetError(f"{folder}: {IMAGE_STACK} has the shape {images.shape}, {LABEL_STACK} {labels.shape}; the two "
                        f"must agree")
    return images, labels


def as_they_are(*slices):
    """The slices, and that they are one part."""
    return slices, 1


def stack_tasks(data_dir, save_dir, slices):
    """Tasks that put slices back into stacks, in the order of the numbers in their names.

    The slices that train and those that validate go into one stack; ``test-volume.tif`` is made if there are test
    slices.
    """
    source, target = Path(data_dir), Path(save_dir)
    train, valid = list_pairs(source, 0.5, slices.layout)
    pairs = _in_order([(pair.image, pair.mask) for pair in train + valid])
    tasks = [Task((target / IMAGE_STACK, target / LABEL_STACK), read_slices, tuple(zip(*pairs)))]
    test = _in_order([(path,) for path in sorted((source / slices.test).glob("[!.]*.png"))])
    if test:
        tasks.append(Task((target / TEST_STACK,), read_slices, tuple(zip(*test))))
    return tasks


def _in_order(files):
    """Tuples of paths, in the order of the last number in the name of the first."""
    by_number = {}
    for paths in files:
        digits = re.findall(r"\d+", paths[0].stem)
        if not digits:
            raise UNetError(f"{paths[0]}: expected a number in the name; it is the slice's place in the stack")
        number = int(digits[-1])
        if number in by_number:
            raise UNetError(f"{paths[0]} and {by_number[number][0]} have one number; it is a slice's place in the "
                            f"stack")
        by_number[number] = paths
    return [by_number[number] for number in sorted(by_number)]


def read_slices(*stacks):
    """Read stacks of PNG slices, all of one size.

    Args:
        stacks (tuple[Path]): the files of each stack, in order.

    Returns:
        tuple: one (slices, H, W) uint8 for each stack, and the number of slices.
    """
    arrays = []
    size = None
    for paths in stacks:
        slices = []
        for path in paths:
            with open_image(path) as file:
                if file.mode != "L":
                    raise UNetError(f"{path}: pixels of kind {file.mode!r}; a stack's slices are gray of 8 bits ('L')")
                size = size or file.size
                if file.size != size:
                    raise UNetError(f"{path}: {file.width}x{file.height}, the first slice is {size[0]}x{size[1]}; all "
                                    f"slices of a stack have one size")
                slices.append(np.asarray(file))
        arrays.append(np.stack(slices))
    return arrays, len(arrays[0])
