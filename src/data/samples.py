"""Samples as the network takes them, from any layout, without MindSpore."""
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from src.data import augment, border_weights, transforms
from src.data.augmentation_policies import RECIPES
from src.data.folders import list_pairs
from src.data.image_mask_pairs import PairReader
from src.data.splits import choose
from src.data.stacks import StackReader, fold_indices
from src.model_utils.errors import UNetError


@dataclass(frozen=True)
class Geometry:
    """Sizes, all (height, width) in pixels.

    The picture is resized to ``content`` and padded with zeros to ``input``; with valid convolutions
    ``content`` is what the network gives back, else both are the same.
    """
    input: tuple
    content: tuple

    @classmethod
    def from_options(cls, image_size, crop=None, swap=False):
        """Sizes from the options; ``swap`` for layouts whose options say [width, height]."""
        order = slice(None, None, -1) if swap else slice(None)
        size = tuple(image_size)[order]
        content = tuple(crop)[order] if crop not in (None, "None") else size
        if any(inner > outer for inner, outer in zip(content, size)):
            raise UNetError(f"crop {list(crop)} is larger than image_size {list(image_size)}; crop is the size of the "
                            f"network's output")
        return cls(size, content)


@dataclass(frozen=True)
class Augmentation:
    """What to do to training samples: the augmentation of that name (``on``), and the optional ones."""
    on: bool = True
    recipe: str = "default"
    crop: int = 0
    flip: bool = False
    rot90: bool = False
    elastic: bool = False
    gray: bool = False


class StackTransform:
    """ISBI slices: scaled to ``low`` to 1, then resized, as in the published protocol."""

    def __init__(self, geometry, low=-1):
        self.geometry, self.low = geometry, low

    def plain(self, image, classes):
        """uint8 (H, W), classes (H, W) -> float32 image and classes, both of the geometry's input size."""
        image = transforms.resize_image(transforms.to_unit_range(image, self.low), self.geometry.content)
        classes = transforms.resize_two_classes(classes, self.geometry.content)
        return (transforms.pad_to(image, self.geometry.input), transforms.pad_to(classes, self.geometry.input))

    def augmented(self, image, classes, rng):
        """As ``plain``, with random flips, crop-and-resize and brightness."""
        image, classes = self.plain(image, classes)
        for step in (augment.flip, augment.crop_and_resize):
            image, classes = step(image, classes, rng)
        return augment.brightness(image, classes, rng, self.low)


class FolderTransform:
    """Pictures of any size: resized, then scaled to ``low`` to 1; ``recipe`` names the augmentation policy."""

    def __init__(self, geometry, low=-1, recipe="default"):
        self.geometry, self.low, self.recipe = geometry, low, RECIPES[recipe]

    def plain(self, image, classes):
        """uint8 (H, W, C), classes (H, W) -> float32 image and classes, both of the geometry's input size."""
        return self._finish(transforms.resize_image(image, self.geometry.content),
                            transforms.resize_classes(classes, self.geometry.content))

    def augmented(self, image, classes, rng):
        """As ``plain``, augmented by the recipe."""
        return self._finish(*self.recipe(image, classes, self.geometry.content, rng))

    def _finish(self, image, classes):
        image = transforms.to_unit_range(image, self.low)
        return (transforms.pad_to(image, self.geometry.input), transforms.pad_to(classes, self.geometry.input))


class TrainingSamples:
    """Training samples, addressed by their position in the run.

    ``samples[position]`` depends on the seed and the position alone, not on what was drawn before, so a run
    can be taken up anywhere and ranks never share a random stream. It is (image, label): (C, H, W) float32
    in the input range and (num_classes, h, w) float32 one-hot, with ``border_w0`` a channel more, the pixels' weights.
    """

    def __init__(self, reader, indices, transform, num_classes, augmentation=Augmentation(), seed=1, shuffle=True,
                 border_w0=0.0):
        self.reader = border_weights.BorderReader(reader) if border_w0 else reader
        self.border_w0 = border_w0
        self.indices = list(indices)
        self.transform = transform
        self.num_classes = num_classes
        self.augmentation = augmentation
        self.seed = seed
        self.shuffle = shuffle
        if augmentation.crop > min(transform.geometry.input):
            height, width = transform.geometry.input
            raise UNetError(f"train_crop {augmentation.crop} is larger than the image, which image_size makes "
                            f"{height}x{width} (height x width)")

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, position):
        position = int(position)
        data_pass, slot = divmod(position, len(self))
        if self.shuffle:
            slot = _order(len(self), self.seed, data_pass)[slot]
        image, classes = self.reader[self.indices[slot]]
        rng = np.random.default_rng((self.seed, position))
        image, classes = (self.transform.augmented(image, classes, rng) if self.augmentation.on
                          else self.transform.plain(image, classes))
        image, classes = self._patch(image, classes, rng)
        classes = transforms.center_crop(classes, self._label_size(classes.shape))
        classes, weights = border_weights.unpack(classes)
        label = transforms.one_hot(classes, self.num_classes)
        if weights is not None:
            label = np.concatenate([label, border_weights.pixel_weights(weights, self.border_w0)])
        return transforms.channels_first(image), label

    def class_counts(self):
        """(num_classes,) number of pixels of each class in the masks, without augmentation."""
        return sum(np.bincount(border_weights.unpack(self.reader[index][1])[0].ravel(), minlength=self.num_classes)
                   for index in self.indices)

    def as_validation(self, keep_label_size=False):
        """The same samples in order and without augmentation: ValidationSamples."""
        reader = self.reader.reader if isinstance(self.reader, border_weights.BorderReader) else self.reader
        return ValidationSamples(reader, self.indices, self.transform, self.num_classes, keep_label_size)

    @property
    def image_shape(self):
        """(C, H, W) of a sample's image."""
        return self[0][0].shape

    @property
    def label_shape(self):
        """(num_classes, h, w) of a sample's label, one channel more with weights."""
        return self[0][1].shape

    def scale(self, most=100):
        """What training resizes its pictures by, as a factor of the side: the median over (``most`` of) them."""
        step = max(1, len(self) // most)
        height, width = self.transform.geometry.content
        sizes = [self.reader.size(index) for index in self.indices[::step]]
        return float(np.median([np.sqrt(height * width / (own[0] * own[1])) for own in sizes]))

    def _patch(self, image, classes, rng):
        if self.augmentation.elastic:
            image, classes = augment.elastic(image, classes, rng)
        if self.augmentation.crop:
            image, classes = augment.patch(image, classes, self.augmentation.crop, rng)
        if self.augmentation.flip:
            image, classes = augment.flip(image, classes, rng)
        if self.augmentation.rot90:
            image, classes = augment.quarter_turns(image, classes, rng)
        if self.augmentation.gray:
            image, classes = augment.gray_values(image, classes, rng, self.transform.low)
        return image, classes

    def _label_size(self, size):
        geometry = self.transform.geometry
        return tuple(side - (outer - inner) for side, outer, inner in zip(size, geometry.input, geometry.content))


@lru_cache(maxsize=2)
def _order(length, seed, data_pass):
    """The order of one pass over the data; cached, as all samples of a pass ask for it."""
    return np.random.default_rng((seed, data_pass, length)).permutation(length).tolist()


class ValidationSamples:
    """Validation samples in order.

    ``samples[i]`` is (image, classes): (C, H, W) float32 in the input range, and (h, w) uint8 classes of the
    network's output size, or of the picture's own size with ``keep_label_size``.
    """

    def __init__(self, reader, indices, transform, num_classes, keep_label_size=False):
        self.reader = reader
        self.indices = list(indices)
        self.transform = transform
        self.num_classes = num_classes
        self.keep_label_size = keep_label_size

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        image, own_classes = self.reader[self.indices[int(index)]]
        image, classes = self.transform.plain(image, own_classes)
        classes = own_classes if self.keep_label_size else transforms.center_crop(classes,
                                                                                   self.transform.geometry.content)
        return transforms.channels_first(image), np.ascontiguousarray(classes)

    def name(self, index):
        """Name of a sample, for messages and tables."""
        return self.reader.name(self.indices[index])

    def own_classes(self, index):
        """(H, W) uint8 classes of a sample in its picture's own size."""
        return self.reader[self.indices[index]][1]

    def pixels(self, index, size):
        """(h, w, 3) uint8 RGB of a sample's image as the network sees it, fitted to its label's ``size``."""
        image, _ = self.transform.plain(*self.reader[self.indices[index]])
        image = transforms.from_unit_range(image, self.transform.low)
        image = transforms.center_crop(np.atleast_3d(image), self.transform.geometry.content)
        image = transforms.resize_image(np.ascontiguousarray(image), size)
        return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[..., ::-1]     # pictures are read as BGR


def stack_samples(data_dir, geometry, cross_val_ind=1, augmentation=Augmentation(), num_classes=2, seed=1,
                  border_w0=0.0, splits="", low=-1):
    """Training and validation samples of one ISBI fold, or of a file of ``src.data.splits``."""
    reader = StackReader(data_dir)
    if splits:
        train, valid = choose([reader.name(index) for index in range(len(reader))], splits)
    else:
        train, valid = fold_indices(len(reader), cross_val_ind)
    transform = StackTransform(geometry, low)
    return (TrainingSamples(reader, train, transform, num_classes, augmentation, seed, border_w0=border_w0),
            ValidationSamples(reader, valid, transform, num_classes))


def folder_samples(data_dir, geometry, split=0.8, augmentation=Augmentation(), num_channels=3, num_classes=2,
                   eval_resize=False, seed=1, shuffle=True, border_w0=0.0, layout="folders", splits="", cache_mb=0,
                   low=-1):
    """Training and validation samples of pictures and masks; ``layout`` is one of ``src.data.folders.LAYOUTS``."""
    parts = list_pairs(data_dir, split, layout)
    if splits:
        pairs = [pair for part in parts for pair in part]
        chosen = choose([pair.path_below(data_dir) for pair in pairs], splits)
        parts = [[pairs[index] for index in part] for part in chosen]
    train, valid = (PairReader(pairs, num_channels, num_classes, cache_mb) for pairs in parts)
    transform = FolderTransform(geometry, low, augmentation.recipe)
    return (TrainingSamples(train, range(len(train)), transform, num_classes, augmentation, seed, shuffle, border_w0),
            ValidationSamples(valid, range(len(valid)), transform, num_classes, keep_label_size=eval_resize))


def input_low(input_range):
    """The lower end of the option ``input_range``.

    Raises:
        UNetError: it is neither [-1, 1] nor [0, 1].
    """
    if input_range not in ([-1, 1], [0, 1]):
        raise UNetError(f"input_range {input_range}: expected [-1, 1] or [0, 1]")
    return input_range[0]


def entries(samples, root):
    """Names of training or validation samples in splits.json; ``root`` is the data set's folder."""
    return [samples.reader.entry(index, root) for index in samples.indices]


def create_samples(config):
    """Training and validation samples that the options ask for.

    Returns:
        tuple: (TrainingSamples, ValidationSamples).
    """
    augmentation = Augmentation(config.train_augment, config.augmentation, config.train_crop, config.augment_flip,
                                config.augment_rot90, config.augment_elastic, config.augment_gray)
    more = {"seed": config.seed, "border_w0": config.border_w0 if config.border_weight else 0.0,
            "splits": config.splits, "low": input_low(config.input_range)}
    is_stack = config.dataset == "ISBI"
    geometry = Geometry.from_options(config.image_size, config.crop, swap=not is_stack)
    if is_stack:
        if config.augmentation != "default":
            raise UNetError(f"augmentation {config.augmentation} is for pictures and masks in folders; leave it at "
                            f"default for ISBI stacks")
        if config.num_channels != 1:
            raise UNetError(f"num_channels {config.num_channels}: ISBI stacks are gray; set num_channels to 1")
        return stack_samples(config.data_path, geometry, config.cross_valid_ind, augmentation, config.num_classes,
                             **more)
    return folder_samples(config.data_path, geometry, config.split, augmentation, config.num_channels,
                          config.num_classes, config.eval_resize, layout=config.dataset, cache_mb=config.cache_mb,
                          **more)
