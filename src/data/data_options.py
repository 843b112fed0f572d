"""What the options say about the data: the source, its classes, channels and normalization."""
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from src.data import class_values
from src.data.channels import Channels
from src.data.folders import FileNames
from src.data.layouts import Source
from src.data.location import data_root
from src.data.mask_pixels import MaskOptions
from src.data.normalization import AUTO, PERCENTILE, Normalization
from src.data.reader import Samples
from src.model_utils.config import Config
from src.model_utils.errors import UNetError

logger = logging.getLogger("unet")

LOOKED_AT = 1000        # headers of images, evenly spread, that tell what normalize auto is


def input_min(input_range: list[int]) -> int:
    """Return the lower end of the option ``input_range``.

    Raises:
        UNetError: it is neither [-1, 1] nor [0, 1].
    """
    if input_range not in ([-1, 1], [0, 1]):
        raise UNetError(f"input_range {input_range}: expected [-1, 1] or [0, 1]")
    return input_range[0]


def source_of(config: Config) -> Source:
    """Return the data set that the options name.

    Raises:
        UNetError: class_values does not fit num_classes.
    """
    root = data_root(config.dataset, config.data_path)
    values = class_values.resolve(config.class_values, root, config.num_classes)
    return Source(config.dataset, root, config.num_channels,
                  MaskOptions(config.num_classes, values, config.ignore_index, config.mask_invert),
                  FileNames(config.image_dir, config.mask_dir, config.image_suffix, config.mask_suffix,
                            config.unpaired == "skip"), config.split,
                  config.cross_valid_ind, config.splits, config.cache_mb, tuple(config.channels))


def class_names(config: Config, stored: Sequence[str] = ()) -> list[str]:
    """Return the names of the classes.

    Args:
        config: the options; class_values, classes.json in data_path, or coco_classes name the classes.
        stored: those of the network's file, if the options name none; without any they are "class 0", "class 1", ...
    """
    values = source_of(config).masks.values
    if values and values.names:
        return values.names
    if len(config.coco_classes) == config.num_classes:
        return list(config.coco_classes)
    if len(stored) == config.num_classes:
        return list(stored)
    return [f"class {number}" for number in range(config.num_classes)]


def normalization_of(config: Config) -> Normalization:
    """Return what the options normalize, normalize_percentiles and input_range say.

    Raises:
        UNetError: a range that is not read, or percentiles in the wrong order.
    """
    low, high = config.normalize_percentiles
    if low >= high:
        raise UNetError(f"normalize_percentiles {[low, high]}: the first must be smaller than the second")
    return Normalization(config.normalize, (low, high), input_min(config.input_range))


def choose_normalization(normalization: Normalization, samples: Samples) -> Normalization:
    """Return the normalization of a data set: of the mode auto, percentile if an image has more than 8 bits."""
    if normalization.mode != AUTO or not len(samples):
        return normalization
    looked_at = range(0, len(samples), max(1, len(samples) // LOOKED_AT))
    deep = []
    for index in looked_at:
        with suppress(UNetError):       # the check of the data set names all damaged images
            if not samples.is_8_bit(index):
                deep.append(index)
    if not deep:
        logger.info("normalize auto: range, since the images have 8 bits")
        return normalization
    logger.info("normalize auto: percentile %s, since %d of %d images have more than 8 bits (%s: %s)",
                list(normalization.percentiles), len(deep), len(looked_at), samples.name(deep[0]),
                samples.kind(deep[0]))
    return replace(normalization, mode=PERCENTILE)


def channels_of(config: Config) -> Channels:
    """Return what the options num_channels and channels say.

    Raises:
        UNetError: the two do not fit together.
    """
    return Channels(config.num_channels, tuple(config.channels))
