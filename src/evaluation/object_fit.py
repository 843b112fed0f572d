"""Which options find objects best, in pictures whose objects are known; and the file that keeps the answer."""
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from src.evaluation.object_metrics import THRESHOLDS, overlaps
from src.evaluation.object_scores import ObjectScores
from src.evaluation.objects import WATERSHED, ObjectOptions, areas_and_sums, find_objects, separate
from src.model_utils.config import Config
from src.model_utils.files import write_atomically
from src.model_utils.inputs import MissingFile, read_json

logger = logging.getLogger("unet")

FITTED = "objects.json"     # beside the checkpoint, or the ONNX file
# Option -> field of ObjectOptions.
NAMES = {"object_threshold": "threshold", "object_seed_threshold": "seed_threshold",
         "object_min_distance": "min_distance", "object_min_probability": "min_probability",
         "object_min_size": "min_size"}

FOREGROUND = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
SEEDS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
DISTANCES = [2, 3, 5, 7, 10, 14, 20]
# Which of the objects stay.
LIMITS: list[dict[str, Any]] = [{"min_probability": probability, "min_size": size} for probability, size in product(
    (0, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9), (0, 5, 10, 20, 40, 80))]


@dataclass(frozen=True)
class KnownImage:
    """An image whose objects are known.

    Attributes:
        probabilities, interior: see ``find_objects``.
        true: (H, W) numbers of the true objects.
    """
    probabilities: np.ndarray
    interior: np.ndarray | None
    true: np.ndarray


def accuracy(images: Iterable[KnownImage], options: ObjectOptions) -> float:
    """Return the accuracy of objects, the mean over the images and the IoUs 0.5, 0.55, ... 0.95."""
    scores = ObjectScores()
    for image in images:
        scores.add("", overlaps(image.true, find_objects(image.probabilities, options, image.interior).labels))
    return scores.mean_accuracy


def fit(images: Sequence[KnownImage], start: ObjectOptions) -> tuple[ObjectOptions, float]:
    """Search the threshold, the other threshold or the distance, the least probability and the smallest size together.

    Args:
        images: pictures that the result is not judged by.
        start: says what is not searched.

    Returns:
        tuple: the options with the best ``accuracy``, the first of several; and that accuracy.
    """
    seeds: list[dict[str, Any]] = [{}]
    if start.split == WATERSHED:
        seeds = ([{"min_distance": distance} for distance in DISTANCES] if images[0].interior is None
                 else [{"seed_threshold": threshold} for threshold in SEEDS])
    tried = [replace(start, threshold=threshold, **seed) for threshold, seed in product(FOREGROUND, seeds)]
    scores = [np.mean([_accuracies(image, options) for image in images], axis=0) for options in tried]
    place, limit = divmod(int(np.argmax(scores)), len(LIMITS))
    best = replace(tried[place], **LIMITS[limit])
    return best, accuracy(images, best)


def _accuracies(image: KnownImage, options: ObjectOptions) -> np.ndarray:
    """Return (len(LIMITS),) accuracies of an image, means over the IoUs, with each of ``LIMITS``.

    The objects are found once, and matched once: which pairs match at a larger IoU, or without some of the objects,
    follows from that.
    """
    found = separate(image.probabilities, options, image.interior)
    sizes = areas_and_sums(found, image.probabilities)
    pairs = overlaps(image.true, found.labels)
    stays = np.stack([replace(options, **limit).stay(*sizes) for limit in LIMITS])[:, pairs.predicted]
    matched = pairs.matches(THRESHOLDS[0])
    is_match = pairs.ious[matched][:, None] >= THRESHOLDS                           # (matched, IoUs)
    matches = stays[:, pairs.pairs[matched, 1]].astype(float) @ is_match            # (LIMITS, IoUs)
    objects = len(pairs.true) + stays.sum(axis=1, keepdims=True) - matches          # TP + FP + FN
    return np.divide(matches, objects, out=np.ones_like(matches), where=objects > 0).mean(axis=1)


def fitted_path(network: str | Path) -> Path:
    """Return where the fitted options of a network are.

    Args:
        network: the checkpoint or the ONNX file, beside which they are; or the folder of the folds, in which they are.
    """
    return (Path(network) if Path(network).is_dir() else Path(network).parent) / FITTED


def store(path: Path, options: ObjectOptions, score: float, count: int) -> None:
    """Write fitted options, their accuracy, and on how many images they were fitted."""
    values = {name: getattr(options, field) for name, field in NAMES.items()}
    write_atomically(path, json.dumps({**values, "accuracy": score, "images": count}, indent=1).encode())
    logger.info("objects fitted on %d training images, mean accuracy %.4f over IoU 0.5 to 0.95: %s; %s", count, score,
                ", ".join(f"{name} {value:g}" for name, value in values.items()), path)


def with_fitted(config: Config, network: str | Path) -> Config:
    """Return the options with those that were fitted for a network, if there are any, and say so.

    Options of the command line stay, and object_min_size in square micrometres does.

    Args:
        config: the options.
        network: see ``fitted_path``. Several checkpoints, A,B, have no fitted options.

    Raises:
        UNetError: their file is damaged.
    """
    path = fitted_path(network)
    if not Path(network).exists():
        return config
    wrong, advice = "not the file that eval.py --fit_objects=True writes", "; fit again, or remove it"
    try:
        changes = read_json(path, lambda content: {name: content[name] for name in NAMES
                                                   if name not in config.on_command_line}, wrong, advice)
    except MissingFile:
        return config
    if config.object_size_unit != "px":
        changes.pop("object_min_size", None)
    followed = config.replace(f"{path}: {wrong}{advice}", **changes)
    values = ", ".join(f"{name} {getattr(followed, name):g}" for name in changes)
    logger.info("objects as fitted (%s): %s", path, values)
    return followed
