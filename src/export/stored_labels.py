"""label.npy, where preprocess.py keeps the labels of the inputs for another runtime, as in the model zoo."""
import logging
import os
from pathlib import Path

import numpy as np

from src.data import transforms
from src.data.samples import ValidationSamples
from src.export.npy import read_npy
from src.export.written_files import read_list, write_list
from src.model_utils.errors import UNetError
from src.model_utils.files import open_for_arrays, replacing
from src.model_utils.inputs import MOST_NETWORK, read_input

logger = logging.getLogger("unet")

LABELS = "label.npy"    # in the current folder; earlier releases of this project wrote it into result_path
# Beside it: its name, if preprocess.py has written it. Not in the list of the inputs, which go with other inputs.
LABELS_WRITTEN = ".preprocess_labels.json"

# Largest share of pixels in which the labels of one image may differ, if another program has resized them.
SAME_LABELS = 0.01


def check_labels(path: str | Path) -> None:
    """Raise UNetError if ``path`` is there and was not written by ``write_labels``."""
    path = Path(path)
    if os.path.lexists(path) and path.name not in read_list(path.with_name(LABELS_WRITTEN), "preprocess.py"):
        raise UNetError(f"{path} is there, and preprocess.py did not write it; remove it, or call preprocess.py in "
                        f"another folder")


def write_labels(path: str | Path, samples: ValidationSamples) -> None:
    """Write all labels, one-hot: (samples, 1, num_classes, h, w) float32, an array for each batch of one image.

    Raises:
        UNetError: the file cannot be written, or see ``check_labels``.
    """
    path = Path(path)
    check_labels(path)
    labels = np.stack([transforms.one_hot(samples[index][1], samples.num_classes) for index in range(len(samples))])
    write_list(path.with_name(LABELS_WRITTEN), [path.name])
    with replacing(path) as temporary, open_for_arrays(temporary) as file:
        np.save(file, labels[:, None])
    logger.info("labels, %s float32: %s", labels[:, None].shape, path)


class StoredLabels:
    """The labels of a label.npy, as ``src.evaluation.evaluate.LabelledImages`` without images.

    Args:
        path (Path): the file: (batches, N, num_classes, h, w), or (images, num_classes, h, w) as earlier releases of
            this project wrote it.
        num_classes (int): number of classes.

    Attributes:
        size (tuple): (h, w) of the labels.

    Raises:
        UNetError: the file is damaged or holds something else.
    """

    keep_label_size = False

    def __init__(self, path: Path, num_classes: int) -> None:
        self.path, self.num_classes = path, num_classes
        try:
            stored = read_npy(read_input(path, MOST_NETWORK))
        except (OSError, ValueError) as error:
            raise UNetError(f"{path}: cannot be read as labels ({str(error)[:100]}); make it again with preprocess.py, "
                            f"or remove it") from None
        if stored.ndim not in (4, 5) or stored.shape[-3] != num_classes \
                or not stored.size or not np.isin(stored, (0, 1)).all() or not (stored.sum(axis=-3) == 1).all():
            raise UNetError(f"{path}: not the one-hot labels of {num_classes} classes, (batches, 1, {num_classes}, "
                            f"height, width); make it again with preprocess.py, or remove it")
        self.classes = stored.argmax(axis=-3).astype(np.uint8).reshape(-1, *stored.shape[-2:])
        self.size = self.classes.shape[1:]

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return np.empty(0, np.float32), self.classes[index]     # no image: the results are there already

    def name(self, index: int) -> str:
        """Return the name of an image."""
        return f"label {index}"

    def warn_if_other(self, samples: ValidationSamples) -> None:
        """Warn if these are not the labels of ``samples``: the results may then belong to other images."""
        own = [samples[index][1] for index in range(len(samples))]
        if len(own) != len(self) or own[0].shape != self.size or np.mean(np.stack(own) != self.classes) > SAME_LABELS:
            logger.warning("WARNING: %s holds other labels than the data set with these options; the score is that of "
                           "the data set. If the inputs were made with other options, it is wrong", self.path)


def find_labels(result_path: str | Path, num_classes: int) -> StoredLabels | None:
    """Read label.npy in the current folder or in ``result_path``; return None if there is none."""
    found = [path for path in (Path(LABELS), Path(result_path) / LABELS) if path.is_file()]
    return StoredLabels(found[0], num_classes) if found else None
