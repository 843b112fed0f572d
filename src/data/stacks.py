"""Reader of the ISBI 2012 layout: two multi-page TIFF stacks, images and labels."""
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from src.data import colours
from src.data.channels import ONE_CHANNEL, Channels, StoredImage
from src.data.image_reader import open_pages, read_image
from src.data.mask_classes import MaskClasses
from src.data.mask_pixels import TWO_CLASSES, MaskOptions, MaskPixels, mask_of_page, read_mask
from src.data.page import Page, Window
from src.model_utils.errors import UNetError
from src.model_utils.inputs import not_there

IMAGE_STACK = "train-volume.tif"
LABEL_STACK = "train-labels.tif"
FOLDS = 5
# Pixels of a stack whose images stay in memory: opening the file for each slice takes longer than reading it.
MOST_KEPT = 2**25

# Rounding of float32 can move a mean of probabilities this far out of the range 0 to 1.
ROUNDING = 1e-5


def fold_indices(length: int, fold: int, ratio: float = 0.8,
                 where: object = IMAGE_STACK) -> tuple[np.ndarray, np.ndarray]:
    """Split ``length`` slices into training and validation slices of one of the five folds.

    The indices are shuffled with RandomState(0), rotated right by ``fold`` times the validation part, and
    cut at ``ratio``: the split of the published results. ``where`` names their file or folder, for the message.

    Returns:
        tuple: (training indices, validation indices), two int arrays.

    Raises:
        UNetError: fewer slices than folds.
    """
    if length < FOLDS:
        raise UNetError(f"{where}: {length} slices cannot be split into {FOLDS} folds; at least {FOLDS} slices are "
                        f"needed")
    indices = np.arange(length)
    np.random.RandomState(0).shuffle(indices)
    indices = np.roll(indices, fold * round((1.0 - ratio) * length))
    cut = round(ratio * length)
    return indices[:cut], indices[cut:]


class StackReader:
    """Reader of the slices of ``train-volume.tif`` with the classes of ``train-labels.tif``.

    ``reader[i]`` is (StoredImage, classes): gray values, and (H, W) uint8 classes, 0 = membrane, 1 = cell, or what the
    options say about masks.

    Raises:
        UNetError: no such folder; stacks that are missing, damaged or of different shapes; or labels that cannot be
            understood without further options.
    """

    def __init__(self, data_dir: str | Path, channels: Channels = ONE_CHANNEL, masks: MaskOptions = TWO_CLASSES):
        self.folder = folder = Path(data_dir)
        self.channels = channels
        if not folder.is_dir():
            raise UNetError(f"no such data folder: {folder}; give the folder that holds {IMAGE_STACK} and "
                            f"{LABEL_STACK} with --data_path")
        self.path = folder / IMAGE_STACK
        with open_stack(self.path) as pages:
            self.shape = (len(pages), pages[0].height, pages[0].width)
            self.page_kind, self.depth_8 = pages[0].kind, pages[0].is_8_bit
            self.kept: list[StoredImage] = []
            for page in pages:      # a damaged one is found now, not in the middle of a training
                image = StoredImage(channels.read(page), page.limits)
                if math.prod(self.shape) <= MOST_KEPT:
                    self.kept.append(image)
        with open_stack(folder / LABEL_STACK) as pages:
            label_shape = (len(pages), pages[0].height, pages[0].width)
            if label_shape != self.shape:
                raise UNetError(f"{folder}: {IMAGE_STACK} holds {describe(self.shape)}, {LABEL_STACK} holds "
                                f"{describe(label_shape)}; the two must agree")
            self.invert = masks.invert
            read = partial(mask_of_page, pages, invert=self.invert)
            self.masks = MaskClasses(read, len(self), masks)
            self.classes = np.stack([self.masks.classes(read(index)) for index in range(len(self))])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> tuple[StoredImage, np.ndarray]:
        return self.image(index), self.classes[index]

    def mask_pixels(self, index: int, window: Window | None = None) -> MaskPixels:
        """Return a label, or a part of it, as its file holds it."""
        return read_mask(self.mask_files(index)[0], index, self.invert, window)

    def image(self, index: int) -> StoredImage:
        """Read only the image of a slice."""
        return self.kept[index] if self.kept else read_image(self.path, self.channels, index)

    @contextmanager
    def open_image(self, index: int) -> Iterator[Page]:
        """Yield the page of a slice, which can be read while its file is open."""
        with open_pages(self.path) as pages:
            yield pages[index]

    def classes_in(self, index: int, window: Window) -> np.ndarray:
        """Return the classes of a part of a slice."""
        return self.classes[index][window]

    def class_bands(self, index: int) -> Iterator[np.ndarray]:
        """Yield the classes of a slice."""
        yield self.classes[index]

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of a slice."""
        return self.shape[1:]

    def name(self, index: int) -> str:
        """Return the name of a slice."""
        return f"slice {index}"

    def entry(self, index: int, root: str | Path) -> str:
        """Return the name of a slice in splits.json."""
        return self.name(index)

    def kind(self, index: int) -> str:
        """Return how a slice is stored, such as gray."""
        return self.page_kind

    def is_8_bit(self, index: int) -> bool:
        """Return whether the numbers of a slice have 8 bits or fewer."""
        return self.depth_8

    def mask_classes(self, index: int) -> np.ndarray:
        """Return the classes of a slice."""
        return self.classes[index]

    def mask_files(self, index: int) -> list[Path]:
        """Return the file of the labels, in a list."""
        return [self.folder / LABEL_STACK]

    def masks_hold(self) -> str:
        """Return how the labels are read."""
        return self.masks.hold

    def instances(self, index: int) -> np.ndarray | None:
        """Return the (H, W) int32 object numbers of a label, 0 for the background; None if it has classes only."""
        return self.masks.instances(self.mask_pixels(index))

    def numbers_objects(self, index: int) -> bool:
        """Return whether a label has the numbers of its objects."""
        return self.masks.has_objects

    def instances_in(self, index: int, window: Window) -> np.ndarray:
        """Return the object numbers of a part of a label that has them."""
        numbers = self.masks.instances(self.mask_pixels(index, window))
        assert numbers is not None
        return numbers

    def folders(self) -> set[Path]:
        """Return the folder of the stacks."""
        return {self.folder}


def describe(shape: tuple[int, ...]) -> str:
    """Return number and size of a stack's pages, for messages."""
    return f"{shape[0]} pages of {shape[2]}x{shape[1]}"


@contextmanager
def open_stack(path: str | Path) -> Iterator[Sequence[Page]]:
    """Yield the pages of a stack, which have one size and one kind.

    Raises:
        UNetError: the file is missing or damaged, or has pages of different sizes or kinds.
    """
    if not Path(path).is_file():
        raise UNetError(f"{not_there(path, 'stack')}; expected a TIFF file of many pages")
    with open_pages(path) as pages:
        first = pages[0]
        for number, page in enumerate(pages, 1):
            for what, own, other in (("", f"{page.width}x{page.height}", f"{first.width}x{first.height}"),
                                     ("of kind ", page.kind, first.kind)):
                if own != other:
                    raise UNetError(f"{path}: page {number} is {what}{own}, page 1 is {what}{other}; all pages must "
                                    f"have one size and kind")
        yield pages


KINDS: dict[type | None, str] = {None: "8-bit or 16-bit gray", np.uint8: "8-bit gray", np.float32: "32-bit float"}


def read_stack(path: str | Path, dtype: type | None = None) -> np.ndarray:
    """Read a stack of gray pages as stored.

    Args:
        path (Path): the file.
        dtype (type): expected type of the numbers; None for any whole numbers of up to 16 bits.

    Returns:
        np.ndarray: (pages, height, width).

    Raises:
        UNetError: see ``open_stack``; also pages that are not gray or have numbers of another type.
    """
    with open_stack(path) as pages:
        page = pages[0]
        fits = page.dtype == dtype if dtype else page.dtype in (np.uint8, np.uint16)
        if page.photometric != colours.GRAY or page.samples != 1 or not fits:
            raise UNetError(f"{path}: pages with {page.samples} channel(s) of {page.dtype} ({page.photometric}); "
                            f"expected {KINDS[dtype]} pages with one channel")
        stack = np.empty((len(pages), page.height, page.width), page.dtype)
        for number, one in enumerate(pages):
            stack[number] = one.stored()[..., 0]
        return stack


def read_classes(path: str | Path) -> np.ndarray:
    """Read a stack of labels, 0 (membrane) and 255 (cell), or 0 and 1.

    Returns:
        np.ndarray: (pages, height, width) uint8 of 0 and 1.

    Raises:
        UNetError: see ``read_stack``; also other values.
    """
    labels = read_stack(path, np.uint8)
    values = np.unique(labels).tolist()
    if not (set(values) <= {0, 255} or set(values) <= {0, 1}):
        raise UNetError(f"{path}: label values {values[:6]}{'...' if len(values) > 6 else ''} found; expected "
                        f"0 (membrane) and 255 (cell), or 0 and 1; labels saved with loss (JPEG) cannot be used")
    return (labels > 0).astype(np.uint8)


def read_probabilities(path: str | Path) -> np.ndarray:
    """Read a stack of probabilities, as predict.py saves them.

    Returns:
        np.ndarray: (pages, height, width) float32 from 0 to 1, except for rounding.

    Raises:
        UNetError: see ``read_stack``; also other values.
    """
    stack = read_stack(path, np.float32)
    # "not (all inside)" instead of "any outside", so that NaN is refused too.
    if not ((stack >= -ROUNDING) & (stack <= 1 + ROUNDING)).all():
        raise UNetError(f"{path}: values from {stack.min()} to {stack.max()} found; expected probabilities, 0 to 1 "
                        f"(predict.py --save_probability=True writes such a stack)")
    return stack
