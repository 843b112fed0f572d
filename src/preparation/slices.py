"""ISBI stacks to PNG slices in either layout of folders, and back, bit for bit."""
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data.folders import open_image
from src.data.stacks import IMAGE_STACK, LABEL_STACK
from src.data.tiff import read_stack
from src.model_utils.errors import UNetError
from src.preparation.work import Task

TEST_STACK = "test-volume.tif"


@dataclass(frozen=True)
class SliceLayout:
    """Where the slices lie.

    Args:
        parts (tuple[str]): folders of labelled slices.
        labels (str): folder of the labels inside them; the images are in ``image``.
        test (str): folder of the slices without labels.
        digits (int): to which the numbers are filled up with zeros.
        validates_every (int): each so-many-th slice, from the first on, goes to the last of the parts.
    """
    parts: tuple
    labels: str
    test: str
    digits: int
    validates_every: int = 0

    def part(self, number):
        """The part of a slice."""
        return self.parts[-1] if self.validates_every and number % self.validates_every == 0 else self.parts[0]

    def name(self, number):
        """The file name of a slice."""
        return f"{number:0{self.digits}d}.png"


# The layout and the split of the MindSpore case study on a CPU, and the layout of the membrane data set.
IMAGE_MASK = SliceLayout(("train", "val"), "mask", "test_imgs", digits=5, validates_every=3)
MEMBRANE = SliceLayout(("train",), "label", "test", digits=1)


def slice_tasks(data_dir, save_dir, layout):
    """Tasks that write the slices of ``train-volume.tif``, ``train-labels.tif`` and, if there, ``test-volume.tif``."""
    source, target = Path(data_dir), Path(save_dir)
    images, labels = _read_pair(source)
    tasks = []
    for number, pair in enumerate(zip(images, labels)):
        part, name = target / layout.part(number), layout.name(number)
        tasks.append(Task((part / "image" / name, part / layout.labels / name), as_they_are, pair))
    if (source / TEST_STACK).exists():
        tasks += [Task((target / layout.test / layout.name(number),), as_they_are, (image,))
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


def stack_tasks(data_dir, save_dir, layout):
    """Tasks that put slices back into stacks, in the order of the numbers in their names.

    A stack's slices come from all parts of the layout; ``test-volume.tif`` is made if there are test slices.
    """
    source, target = Path(data_dir), Path(save_dir)
    pairs = {}
    for part in layout.parts:
        images, labels = (_numbered(source / part / kind) for kind in ("image", layout.labels))
        for number in sorted(images.keys() ^ labels.keys()):
            have, other = ("image", layout.labels) if number in images else (layout.labels, "image")
            path = images.get(number) or labels[number]
            raise UNetError(f"{path}: its partner {path.name} is missing in {source / part / other}; each {have} has "
                            f"its {other}")
        for number in images:
            if number in pairs:
                raise UNetError(f"{images[number]} and {pairs[number][0]} have one number; it is a slice's place in "
                                f"the stack")
            pairs[number] = images[number], labels[number]
    if not pairs:
        raise UNetError(f"{source}: no slices found; expected {layout.parts[0]}/image/*.png and "
                        f"{layout.parts[0]}/{layout.labels}/*.png")
    in_order = [pairs[number] for number in sorted(pairs)]
    tasks = [Task((target / IMAGE_STACK, target / LABEL_STACK), read_slices, tuple(zip(*in_order)))]
    test = _numbered(source / layout.test)
    if test:
        tasks.append(Task((target / TEST_STACK,), read_slices, (tuple(test[number] for number in sorted(test)),)))
    return tasks


def _numbered(folder):
    """Number -> file, of the pictures in a folder."""
    files = {}
    for path in sorted(folder.glob("*.png")):
        if path.name.startswith("."):
            continue
        digits = re.findall(r"\d+", path.stem)
        if not digits:
            raise UNetError(f"{path}: expected a number in the name; it is the slice's place in the stack")
        number = int(digits[-1])
        if number in files:
            raise UNetError(f"{path} and {files[number]} have one number; it is a slice's place in the stack")
        files[number] = path
    return files


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
