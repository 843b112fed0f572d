"""Samples as the network takes them, from any layout. Without MindSpore."""
import logging
import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np

from src.data import border_weights, boundary, skeletons, transforms
from src.data.channels import as_rgb
from src.data.class_counts import ClassCounts, count_classes
from src.data.data_options import choose_normalization, normalization_of, source_of
from src.data.layouts import Source
from src.data.normalization import Normalization
from src.data.patches import STRONG, Patches
from src.data.reader import CachedReader, NormalizedReader, Reader, StoredReader
from src.data.sample_transforms import Geometry, NativeTransform, ResizingTransform, Transform
from src.data.training_options import DEFAULT_OPTIONS, TrainingOptions, training_options
from src.data.whole_images import WholeImages
from src.data.window_reader import WindowReader
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import natural
from src.model_utils.options import NATIVE

logger = logging.getLogger("unet")


class TrainingSamples:
    """Training samples, addressed by their position in the run.

    ``samples[position]`` depends only on the seed and the position, not on what was drawn before. So a run can resume
    anywhere, and ranks never share random numbers. It is (image, label): (C, H, W) float32 in the input range, and
    (num_classes, h, w) float32 one-hot; with ``border_w0``, for which the reader is one over a ``BorderReader``, one
    more channel has the weights of the pixels. With ``skeletons`` there are two more: the weights, and the skeletons.

    Attributes:
        class_counts (ClassCounts): the result of ``count_classes``; None before its first call.

    Raises:
        UNetError: see ``WholeImages``.
    """

    def __init__(self, reader: Reader, indices: Iterable[int], transform: Transform, num_classes: int,
                 options: TrainingOptions = DEFAULT_OPTIONS):
        self.reader = reader
        self.indices = list(indices)
        self.transform = transform
        self.num_classes = num_classes
        self.options = options
        self.class_counts: ClassCounts | None = None
        self.source: Patches | WholeImages = (
            Patches(cast(WindowReader, reader), transform.normalization, options.patches, options.augmentation)
            if options.patches else WholeImages(reader, cast(ResizingTransform, transform), options.augmentation))

    def __len__(self) -> int:
        return len(self.indices) * self.per_image

    @property
    def per_image(self) -> int:
        """Samples of each image in one pass over the data."""
        return self.options.patches.per_image if self.options.patches else 1

    def __getitem__(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        position = int(position)
        options = self.options
        data_pass, slot = divmod(position, len(self))
        if options.shuffle:
            slot = int(_order(len(self), options.seed, data_pass)[slot])
        image, classes = self.source.draw(self.indices[slot // self.per_image],
                                          np.random.default_rng((options.seed, position)))
        label_size = [side - margin for side, margin in zip(classes.shape, self.source.margin)]
        classes, weights = border_weights.split_weights(transforms.center_crop(classes, label_size))
        label = [transforms.one_hot(classes, self.num_classes)]
        if weights is not None:
            label.append(border_weights.pixel_weights(weights, options.border_w0))
        elif options.skeletons:
            label.append(np.ones((1, *classes.shape), np.float32))
        if options.skeletons:
            label.append(skeletons.skeletons(classes))
        return transforms.channels_first(image), np.concatenate(label)

    def count_classes(self, path: Path) -> list[int]:
        """Return the number of pixels of each class in the masks, without augmentation; see ``count_classes``."""
        if self.class_counts is None:
            self.class_counts = count_classes(self.reader, self.indices, self.num_classes, path)
        return self.class_counts.pixels

    def as_validation(self, keep_label_size: bool = False) -> "ValidationSamples":
        """Return the same samples in order, with the masks' own classes, without augmentation and weights."""
        reader = border_weights.WithoutWeights(self.reader) if self.options.border_w0 else self.reader
        reader = boundary.WithoutRim(reader) if self.options.has_rim else reader
        return ValidationSamples(reader, self.indices, self.transform, self.num_classes - self.options.has_rim,
                                 keep_label_size)

    def share_in_memory(self) -> float:
        """Return which share of the images will stay in memory, judged by those that it holds now."""
        return cast(CachedReader | WindowReader, self.reader).cache.share(len(self.indices))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a sample's image."""
        channels, height, width = self[0][0].shape
        return channels, height, width

    @property
    def label_shape(self) -> tuple[int, int, int]:
        """(num_classes, h, w) of a sample's label; with weights one channel more, with skeletons two."""
        channels, height, width = self[0][1].shape
        return channels, height, width

    def scale(self, most: int = 100) -> float:
        """Return the factor by which training resizes a side: the median over ``most`` images, evenly spread."""
        if self.transform.geometry is None:
            return 1.0
        height, width = self.transform.geometry.content
        return float(np.median(np.sqrt([height * width / area for area in self._areas(most)])))

    def areas(self, most: int = 100) -> tuple[int, int]:
        """Return the smallest and the largest area in pixels of ``most`` images, evenly spread."""
        areas = self._areas(most)
        return min(areas), max(areas)

    def _areas(self, most: int) -> list[int]:
        step = max(1, len(self.indices) // most)
        return [math.prod(self.reader.size(index)) for index in self.indices[::step]]


@lru_cache(maxsize=2)
def _order(length: int, seed: int, data_pass: int) -> np.ndarray:
    """Return the order of one pass over the data; cached, since all samples of a pass need it."""
    return np.random.default_rng((seed, data_pass, length)).permutation(length)


class ValidationSamples:
    """Validation samples in order.

    ``samples[i]`` is (image, classes): (C, H, W) float32 in the input range, and (h, w) uint8 classes of the network's
    output size, or with ``keep_label_size`` of the mask's own size. If the transform is native, both have the size of
    the file, and the image is uint8 or float32 as ``normalization`` gives it: predictors of native images scale it to
    the input range window by window.
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
        if self.transform.geometry is None:
            return image.transpose(2, 0, 1), own_classes
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

    def own_objects(self, index: int) -> np.ndarray:
        """Return the (H, W) int32 numbers of a sample's objects in its mask's own size, see ``objects_of``."""
        return boundary.objects_of(self.own_classes(index), self.reader.instances(self.indices[index]))

    def pixels(self, index: int, size: tuple[int, ...]) -> np.ndarray:
        """Return (h, w, 3) uint8 RGB of a sample's image as the network sees it, resized to its label's ``size``."""
        image = self.reader[self.indices[index]][0]
        if self.transform.geometry:
            image = transforms.center_crop(self.transform.image(image), self.transform.geometry.content)
        if image.dtype != np.uint8:
            image = self.transform.normalization.to_bytes(image)
        return as_rgb(transforms.resize_image(np.ascontiguousarray(image), size))


def open_samples(source: Source, transform: Transform, options: TrainingOptions = DEFAULT_OPTIONS,
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
    return _divide(source, source.open(), (transform, transform), options, keep_label_size)


def _divide(source: Source, stored: StoredReader, both: tuple[Transform, Transform], options: TrainingOptions,
            keep_label_size: bool) -> tuple[TrainingSamples, ValidationSamples]:
    train_transform, transform = both
    train, valid = source.divide(stored)
    num_classes = source.masks.num_classes
    training = _training_reader(stored, train_transform, options, num_classes + options.has_rim, source.cache_mb)
    return (TrainingSamples(training, train, train_transform, num_classes + options.has_rim, options),
            _validation_samples(source, stored, valid, transform, keep_label_size))


def _validation_samples(source: Source, stored: StoredReader, indices: list[int], transform: Transform,
                        keep_label_size: bool) -> ValidationSamples:
    reader = CachedReader(NormalizedReader(stored, transform.normalization), source.cache_mb)
    return ValidationSamples(reader, indices, transform, source.masks.num_classes, keep_label_size)


def _training_reader(stored: StoredReader, transform: Transform, options: TrainingOptions, num_classes: int,
                     cache_mb: int) -> Reader:
    if options.patches:
        return WindowReader(stored, transform.normalization, num_classes, cache_mb, options.border_w0 > 0,
                            options.has_rim, options.seed)
    reader: Reader = NormalizedReader(stored, transform.normalization)
    if options.has_rim:
        reader = boundary.BoundaryReader(reader)
    # The cache is over the weight maps, so that it holds them too.
    return CachedReader(border_weights.BorderReader(reader, options.has_rim) if options.border_w0 else reader, cache_mb)


def entries(samples: TrainingSamples | ValidationSamples, root: str | Path) -> list[str]:
    """Return the names of samples in splits.json; ``root`` is the data set's folder."""
    return [samples.reader.entry(index, root) for index in samples.indices]


# ---- from the options


def create_samples(config: Config,
                   normalization: Normalization | None = None) -> tuple[TrainingSamples, ValidationSamples]:
    """Open the training and validation samples that the options ask for.

    Args:
        config (Config): the options.
        normalization (Normalization): what a network was trained with; None for what the options say. Of these,
            normalize auto is percentile if an image has more than 8 bits.

    Raises:
        UNetError: see ``open_samples``.
    """
    source, stored, normalization = _open(config, normalization)
    train_transform, transform = (_transform(config, source, normalization, config.augmentation, classes)
                                  for classes in (config.network_classes, config.num_classes))
    return _divide(source, stored, (train_transform, transform), training_options(config), config.eval_resize)


def create_validation_samples(config: Config, normalization: Normalization | None = None) -> ValidationSamples:
    """Open the validation samples, for which the options of the training do not count; see ``create_samples``."""
    source, stored, normalization = _open(config, normalization)
    transform = _transform(config, source, normalization, "default", config.num_classes)
    return _validation_samples(source, stored, source.divide(stored)[1], transform, config.eval_resize)


def _open(config: Config, normalization: Normalization | None) -> tuple[Source, StoredReader, Normalization]:
    source = source_of(config)
    if source.data_dir != config.data_path:
        logger.info("data set: %s", source.data_dir)
    stored = source.open()
    return source, stored, normalization or choose_normalization(normalization_of(config), stored)


def all_entries(config: Config) -> list[str]:
    """Return the names in splits.json of all samples of the data set, in their natural order.

    Raises:
        UNetError: the data set is missing or incomplete, or options that no part of it can be trained with.
    """
    source = source_of(config)
    stored = source.open()
    transform = _transform(config, source, normalization_of(config), config.augmentation, config.network_classes)
    options, num_classes = training_options(config), config.network_classes
    reader = _training_reader(stored, transform, options, num_classes, 0)
    samples = TrainingSamples(reader, range(len(stored)), transform, num_classes, options)
    return sorted(entries(samples, source.data_dir), key=natural)


def _transform(config: Config, source: Source, normalization: Normalization, policy: str,
               num_classes: int) -> Transform:
    is_native = config.image_size == NATIVE
    if is_native and policy not in ("default", STRONG):
        raise UNetError(f"augmentation {policy} is for images that are resized, and image_size is native; choose "
                        f"default or {STRONG}")
    if policy == STRONG and not is_native:
        raise UNetError(f"augmentation {STRONG} is for patches of images in their own sizes, and image_size is "
                        f"{config.image_size}; set it to native, or choose another augmentation")
    if is_native:
        return NativeTransform(normalization)
    geometry = Geometry.from_options(config.image_size, config.crop, source.layout.width_first)
    return source.layout.transform(geometry, normalization, policy, num_classes)
