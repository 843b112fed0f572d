"""How many pixels of each class the training masks hold."""
import hashlib
import json
import logging
import pickle
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from src.data import transforms
from src.data.reader import Reader
from src.data.worker_pool import call_for_each
from src.model_utils.errors import UNetError
from src.model_utils.files import write_atomically
from src.model_utils.inputs import file_status, read_json
from src.model_utils.processors import available_processors

logger = logging.getLogger("unet")

MASKS_AT_A_TIME = 50            # that one process counts
SECONDS_BETWEEN_LINES = 5       # of the log


@dataclass(frozen=True)
class ClassCounts:
    """The counts, and what was counted.

    Attributes:
        masks: a digest of the mask files and of how they are read.
        pixels: number of pixels of each class.
    """
    masks: str
    pixels: list[int]

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        write_atomically(path, json.dumps(vars(self)).encode())


def count_classes(reader: Reader, indices: list[int], num_classes: int, path: Path) -> ClassCounts:
    """Count the pixels in some masks, in several processes, or take the counts of the same masks from ``path``.

    Args:
        reader (Reader): reads the masks.
        indices (list[int]): their numbers.
        num_classes (int): number of classes.
        path (Path): a file that ``ClassCounts.save`` has written, or none.

    Raises:
        UNetError: a mask that cannot be used.
    """
    masks = _digest(reader, indices, num_classes)
    try:
        kept = read_json(path, partial(_counts, num_classes))
        if kept.masks == masks:
            return kept
    except UNetError:       # none, or a damaged one
        pass
    parts = [indices[start:start + MASKS_AT_A_TIME] for start in range(0, len(indices), MASKS_AT_A_TIME)]
    count, name = partial(_count, reader, num_classes), partial(_first_name, reader)
    pixels, told = np.zeros(num_classes, np.int64), time.perf_counter()
    logger.info("counting the pixels of each class in %d masks", len(indices))
    for done, counts in enumerate(call_for_each(count, parts, min(available_processors(), len(parts)), name), 1):
        pixels += counts
        if time.perf_counter() - told > SECONDS_BETWEEN_LINES:
            logger.info("counted %d of %d masks", min(done * MASKS_AT_A_TIME, len(indices)), len(indices))
            told = time.perf_counter()
    return ClassCounts(masks, pixels.tolist())


def _counts(num_classes: int, content: Any) -> ClassCounts:
    counts = ClassCounts(**content)
    if len(counts.pixels) != num_classes or not all(isinstance(number, int) and number >= 0
                                                    for number in counts.pixels):
        raise ValueError("other counts")
    return counts


def _digest(reader: Reader, indices: list[int], num_classes: int) -> str:
    found = hashlib.blake2b(pickle.dumps((reader, indices, num_classes)), digest_size=16)
    for index in indices:
        for path in reader.mask_files(index):
            status = file_status(path)
            found.update(b"%d %d " % (status.st_size, status.st_mtime_ns))
    return found.hexdigest()


def _count(reader: Reader, num_classes: int, indices: list[int]) -> np.ndarray:
    return np.sum([transforms.count_classes(reader.mask_classes(index), num_classes) for index in indices], axis=0)


def _first_name(reader: Reader, indices: list[int]) -> str:
    return reader.name(indices[0])
