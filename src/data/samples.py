"""Samples as the network takes them, from any layout. Without MindSpore."""
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from src.data import border_weights, transforms
from src.data.augment import Augmentation, apply_steps
from src.data.layouts import Source
from src.data.reader import CachedReader, Reader
from src.data.sample_transforms import Geometry, Transform
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import natural


@dataclass(frozen=True)
class TrainingOptions:
    """How training samples are drawn.

    Attributes:
        augmentation: what is done to them.
        seed: seed of order and augmentation.
        shuffle: draw them in random order.
        border_w0: largest weight of the borders between objects (see ``border_weights``); 0 makes no weights.
    """
    augmentation: Augmentation = Augmentation()
    seed: int = 1
    shuffle: bool = True
    border_w0: float = 0.0


class TrainingSamples:
    """Training samples, addressed by their position in the run.

    ``samples[position]`` depends only on the seed and the position, not on what was drawn before. So a run can resume
    anywhere, and ranks never share random numbers. It is (image, label): (C, H, W) float32 in the input range, and
    (num_classes, h, w) float32 one-hot; with ``border_w0`` one more channel has the weights of the pixels.

    Raises:
        UNetError: patches larger than the image.
    """

    def __init__(self, reader: Reader, indices: Iterable[int], transform: Transform, num_classes: int,
                 options: TrainingOptions = TrainingOptions()):
        self.reader: Reader = border_weights.BorderReader(reader) if options.border_w0 else reader
        self.indices = list(indices)
        self.transform = transform
        self.num_classes = num_classes
        self.options = options
        if options.augmentation.crop > min(transform.geometry.input):
            height, width = transform.geometry.input
            raise UNetError(f"train_crop {options.augmentation.crop} is larger than the image, which image_size makes "
                            f"{height}x{width} (height x width)")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        position = int(position)
        options = self.options
        data_pass, slot = divmod(position, len(self))
        if options.shuffle:
            slot = _order(len(self), options.seed, data_pass)[slot]
        image, classes = self.reader[self.indices[slot]]
        rng = np.random.default_rng((options.seed, position))
        image, classes = (self.transform.augmented(image, classes, rng) if options.augmentation.on
                          else self.transform.plain(image, classes))
        image, classes = apply_steps(options.augmentation, image, classes, rng, self.transform.input_min)
        classes = transforms.center_crop(classes, self._label_size(classes.shape))
        classes, weights = border_weights.split_weights(classes)
        label = transforms.one_hot(classes, self.num_classes)
        if weights is not None:
            label = np.concatenate([label, border_weights.pixel_weights(weights, options.border_w0)])
        return transforms.channels_first(image), label

    def class_counts(self) -> np.ndarray:
        """Count the pixels of each class in the masks, without augmentation: (num_classes,) integers."""
        counts = np.zeros(self.num_classes, np.int64)
        for index in self.indices:
            classes, _ = border_weights.split_weights(self.reader[index][1])
            counts += np.bincount(classes.ravel(), minlength=self.num_classes)
        return counts

    def as_validation(self, keep_label_size: bool = False) -> "ValidationSamples":
        """Return the same samples in order, without augmentation and weights."""
        reader = self.reader.reader if isinstance(self.reader, border_weights.BorderReader) else self.reader
        return ValidationSamples(reader, self.indices, self.transform, self.num_classes, keep_label_size)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a sample's image."""
        channels, height, width = self[0][0].shape
        return channels, height, width

    @property
    def label_shape(self) -> tuple[int, int, int]:
        """(num_classes, h, w) of a sample's label; with weights, one channel more."""
        channels, height, width = self[0][1].shape
        return channels, height, width

    def scale(self, most: int = 100) -> float:
        """Return the factor by which training resizes a side: the median over ``most`` images, evenly spread."""
        step = max(1, len(self) // most)
        height, width = self.transform.geometry.content
        sizes = [self.reader.size(index) for index in self.indices[::step]]
        return float(np.median([np.sqrt(height * width / (own[0] * own[1])) for own in sizes]))

    def _label_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        geometry = self.transform.geometry
        return tuple(side - (outer - inner) for side, outer, inner in zip(size, geometry.input, geometry.content))


@lru_cache(maxsize=2)
def _order(length: int, seed: int, data_pass: int) -> list[int]:
    """Return the order of one pass over the data; cached, since all samples of a pass need it."""
    return np.random.default_rng((seed, data_pass, length)).permutation(length).tolist()


class ValidationSamples:
    """Validation samples in order.

    ``samples[i]`` is (image, classes): (C, H, W) float32 in the input range, and (h, w) uint8 classes of the network's
    output size, or with ``keep_label_size`` of the mask's own size.
    """

    def __init__(self, reader: Reader, indices: Iterable[int], transform: Transform, num_classes: int,
                 keep_label_size: bool = False):
        self.reader = reader
        self.indices = list(indices)
        self.transform = transform
        self.num_classes = num_classes
        self.keep_label_size = keep_label_size

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image, own_classes = self.reader[self.indices[int(index)]]
        image, classes = self.transform.plain(image, own_classes)
        classes = own_classes if self.keep_label_size else transforms.center_crop(classes,
                                                                                   self.transform.geometry.content)
        return transforms.channels_first(image), np.ascontiguousarray(classes)

    def name(self, index: int) -> str:
        """Return the name of a sample, for messages and tables."""
        return self.reader.name(self.indices[index])

    def own_classes(self, index: int) -> np.ndarray:
        """Return (H, W) uint8 classes of a sample in its mask's own size."""
        return self.reader[self.indices[index]][1]

    def pixels(self, index: int, size: tuple[int, ...]) -> np.ndarray:
        """Return (h, w, 3) uint8 RGB of a sample's image as the network sees it, resized to its label's ``size``."""
        image, _ = self.transform.plain(*self.reader[self.indices[index]])
        image = transforms.from_unit_range(image, self.transform.input_min)
        image = transforms.center_crop(np.atleast_3d(image), self.transform.geometry.content)
        image = transforms.resize_image(np.ascontiguousarray(image), size)
        return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[..., ::-1]     # readers give BGR


def open_samples(source: Source, transform: Transform, options: TrainingOptions = TrainingOptions(),
                 keep_label_size: bool = False) -> tuple[TrainingSamples, ValidationSamples]:
    """Open a data set and divide it into training and validation samples.

    Args:
        source: the data set.
        transform: makes images and classes fit for the network.
        options: how training samples are drawn.
        keep_label_size: leave the validation classes in the masks' own sizes.

    Raises:
        UNetError: the data set is missing or incomplete, cannot be divided, or does not fit the options.
    """
    reader = source.open()
    train, valid = source.divide(reader)
    return (TrainingSamples(CachedReader(reader, source.cache_mb), train, transform, source.num_classes, options),
            ValidationSamples(CachedReader(reader, source.cache_mb), valid, transform, source.num_classes,
                              keep_label_size))


def entries(samples: TrainingSamples | ValidationSamples, root: str) -> list[str]:
    """Return the names of samples in splits.json; ``root`` is the data set's folder."""
    return [samples.reader.entry(index, root) for index in samples.indices]


# ---- from the options


def create_samples(config: Config) -> tuple[TrainingSamples, ValidationSamples]:
    """Open the training and validation samples that the options ask for.

    Raises:
        UNetError: see ``open_samples``.
    """
    return open_samples(*_from_options(config), keep_label_size=config.eval_resize)


def all_entries(config: Config) -> list[str]:
    """Return the names in splits.json of all samples of the data set, in their natural order.

    Raises:
        UNetError: the data set is missing or incomplete, or options that no part of it can be trained with.
    """
    source, transform, options = _from_options(config)
    reader = source.open()
    samples = TrainingSamples(reader, range(len(reader)), transform, source.num_classes, options)
    return sorted(entries(samples, config.data_path), key=natural)


def input_min(input_range: list[int]) -> int:
    """Return the lower end of the option ``input_range``.

    Raises:
        UNetError: it is neither [-1, 1] nor [0, 1].
    """
    if input_range not in ([-1, 1], [0, 1]):
        raise UNetError(f"input_range {input_range}: expected [-1, 1] or [0, 1]")
    return input_range[0]


def _from_options(config: Config) -> tuple[Source, Transform, TrainingOptions]:
    source = Source(config.dataset, config.data_path, config.num_channels, config.num_classes, config.split,
                    config.cross_valid_ind, config.splits, config.cache_mb)
    geometry = Geometry.from_options(config.image_size, config.crop, source.layout.width_first)
    transform = source.layout.transform(geometry, input_min(config.input_range), config.augmentation)
    augmentation = Augmentation(config.train_augment, config.augmentation, config.train_crop, config.augment_flip,
                                config.augment_rot90, config.augment_elastic, config.augment_gray)
    return source, transform, TrainingOptions(augmentation, config.seed,
                                              border_w0=config.border_w0 if config.border_weight else 0.0)
