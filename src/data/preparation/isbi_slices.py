"""ISBI stacks to PNG slices in the layout image_mask or membrane, and back, bit for bit."""
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data import colours
from src.data.folders import FileNames, side_by_side
from src.data.image_reader import open_pages
from src.data.preparation.task_pool import Task
from src.data.stacks import IMAGE_STACK, LABEL_STACK, read_stack
from src.model_utils.errors import UNetError

TEST_STACK = "test-volume.tif"


@dataclass(frozen=True)
class Slices:
    """Folders and names of the slices in a layout.

    Attributes:
        labels: folder of the labels; the images are in ``image``.
        test: folder of the slices without labels.
        digits: number of digits in the names, with leading zeros.
        validates_every: every slice whose number is a multiple of it goes to ``val``, all others to ``train``; 0 puts
            all into ``train``.
    """
    labels: str
    test: str
    digits: int
    validates_every: int = 0

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders of the slices with labels."""
        return ("train", "val") if self.validates_every else ("train",)

    def part(self, number: int) -> str:
        """Return the folder to which a slice belongs."""
        return "val" if self.validates_every and number % self.validates_every == 0 else "train"

    def name(self, number: int) -> str:
        """Return the file name of a slice."""
        return f"{number:0{self.digits}d}.png"


# The layout and the split of MindSpore's case study on a CPU, and the layout of the membrane data set.
IMAGE_MASK = Slices("mask", "test_imgs", digits=5, validates_every=3)
MEMBRANE = Slices("label", "test", digits=1)


def slice_tasks(data_dir: str | Path, save_dir: str | Path, slices: Slices) -> list[Task]:
    """Make the tasks that write the slices of ``train-volume.tif``, ``train-labels.tif`` and ``test-volume.tif``.

    The last is optional.

    Raises:
        UNetError: a stack is missing or damaged, or images and labels have different shapes.
    """
    source, target = Path(data_dir), Path(save_dir)
    images, labels = _read_pair(source)
    tasks = []
    for number, pair in enumerate(zip(images, labels)):
        part, name = target / slices.part(number), slices.name(number)
        tasks.append(Task((part / "image" / name, part / slices.labels / name), unchanged, pair))
    if (source / TEST_STACK).exists():
        tasks += [Task((target / slices.test / slices.name(number),), unchanged, (image,))
                  for number, image in enumerate(read_stack(source / TEST_STACK))]
    return tasks


def _read_pair(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = (read_stack(folder / name) for name in (IMAGE_STACK, LABEL_STACK))
    if images.shape != labels.shape:
        raise UNetError(f"{folder}: {IMAGE_STACK} has the shape {images.shape}, {LABEL_STACK} {labels.shape}; the two "
                        f"must agree")
    return images, labels


def unchanged(*slices: np.ndarray) -> tuple[tuple[np.ndarray, ...], int]:
    """Return the slices, and 1 for the number of parts."""
    return slices, 1


def stack_tasks(data_dir: str | Path, save_dir: str | Path, slices: Slices) -> list[Task]:
    """Make the tasks that put slices back into stacks, in the order of the numbers in their names.

    The slices of ``train`` and of ``val`` go into one stack. ``test-volume.tif`` is made if there are test slices.

    Raises:
        UNetError: slices without a partner, or names without a number or with the same number.
    """
    source, target = Path(data_dir), Path(save_dir)
    pairs = _in_order([(pair.image, pair.mask) for part in slices.parts
                       for pair in side_by_side(source / part, FileNames("image", slices.labels))])
    tasks = [Task((target / IMAGE_STACK, target / LABEL_STACK), read_slices, tuple(zip(*pairs)))]
    test = _in_order([(path,) for path in sorted((source / slices.test).glob("[!.]*.png"))])
    if test:
        tasks.append(Task((target / TEST_STACK,), read_slices, tuple(zip(*test))))
    return tasks


def _in_order(files: list[tuple[Path, ...]]) -> list[tuple[Path, ...]]:
    """Sort tuples of paths by the last number in the name of the first path."""
    by_number: dict[int, tuple[Path, ...]] = {}
    for paths in files:
        digits = re.findall(r"\d+", paths[0].stem)
        if not digits:
            raise UNetError(f"{paths[0]}: expected a number in the name, which is the slice's place in the stack")
        number = int(digits[-1])
        if number in by_number:
            raise UNetError(f"{paths[0]} and {by_number[number][0]} have the same number, which is the slice's place "
                            f"in the stack; rename one of them")
        by_number[number] = paths
    return [by_number[number] for number in sorted(by_number)]


def read_slices(*stacks: tuple[Path, ...]) -> tuple[list[np.ndarray], int]:
    """Read stacks of PNG slices, all of one size.

    Args:
        stacks (tuple[Path]): the files of each stack, in order.

    Returns:
        tuple: one (slices, H, W) for each stack, and the number of slices.

    Raises:
        UNetError: a slice is damaged, not gray, or has another size than the first.
    """
    arrays = []
    size = None
    for paths in stacks:
        slices = []
        for path in paths:
            with open_pages(path) as pages:
                page = pages[0]
                if page.photometric != colours.GRAY or page.samples != 1 or page.dtype == bool:
                    raise UNetError(f"{path}: pixels of the kind {page.kind}; expected gray of 8 or 16 bits")
                size = size or (page.width, page.height)
                if (page.width, page.height) != size:
                    raise UNetError(f"{path}: {page.width}x{page.height}, the first slice is {size[0]}x{size[1]}; all "
                                    f"slices of a stack have one size")
                slices.append(page.stored()[..., 0])
        arrays.append(np.stack(slices))
    return arrays, len(arrays[0])
