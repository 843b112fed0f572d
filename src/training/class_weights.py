"""The weights of the classes in the loss, from the option ``class_weights``."""
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.data.samples import TrainingSamples
from src.model_utils.config import Config
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import CLASS_COUNTS_JSON
from src.model_utils.ranks import Ranks

logger = logging.getLogger("unet")

AUTO = ["auto"]


def class_weights(config: Config, samples: TrainingSamples, ranks: Ranks) -> list[float] | None:
    """Return a weight for each class, the same on all ranks; None if the option is empty. Rank 0 reads the masks.

    Raises:
        UNetError: an option that cannot be, a mask that cannot be used, or another rank that has failed.
    """
    if not config.class_weights:
        return None
    if config.class_weights != AUTO:
        return given_weights(config.class_weights, config.network_classes)
    weights = [0.0] * config.network_classes
    if ranks.rank == 0:
        pixels = samples.count_classes(Path(config.output_path) / CLASS_COUNTS_JSON)
        weights = weights_by_frequency(pixels, config.class_weights_max)
    ranks.synchronize()
    return [float(ranks.values(weight)[0]) for weight in weights]


def given_weights(option: Sequence[str], num_classes: int) -> list[float]:
    """Return the numbers of the option.

    Raises:
        UNetError: they are no numbers, or not one for each class.
    """
    try:
        weights = [float(value) for value in option]
    except ValueError:
        raise UNetError(f"class_weights {option}: expected numbers, or auto") from None
    if len(weights) != num_classes or not all(0 <= weight < float("inf") for weight in weights):
        raise UNetError(f"class_weights {weights}: expected {num_classes} weights of at least 0, one a class")
    return weights


def weights_by_frequency(pixels: Sequence[int], most: float) -> list[float]:
    """Return the inverse frequency of each class, at most ``most``, and log it.

    The mean weight of a training pixel is 1 unless a weight is cut. A class without a pixel has weight 1.
    """
    counts = np.asarray(pixels, np.float64)
    present = counts > 0
    wanted = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0)
    logger.info("class_weights auto: %s", first_few([f"class {number} {min(weight, most):.4g}"
                                                     for number, weight in enumerate(wanted)], 20))
    cut = [f"class {number} {wanted[number]:.4g}" for number in np.flatnonzero(wanted > most)]
    if cut:
        logger.warning("WARNING: weights cut at class_weights_max %g: %s", most, first_few(cut))
    return np.minimum(wanted, most).tolist()
