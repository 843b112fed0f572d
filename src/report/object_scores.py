"""Scores of the objects in an evaluation's predictions, and pictures of them."""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from src.data.class_values import IGNORED
from src.data.samples import ValidationSamples
from src.data.transforms import resize_image
from src.evaluation.evaluate import MOST_PIXELS, ScoredImage
from src.evaluation.object_metrics import Overlaps, overlaps
from src.evaluation.object_scores import ObjectScores
from src.evaluation.objects import ObjectOptions, Objects, find_objects
from src.model_utils.errors import UNetError


@dataclass(frozen=True)
class ScoredObjects:
    """The objects of one image.

    Attributes:
        index: index of the image in the samples.
        true: (H, W) int32 numbers of the true objects.
        predicted: the predicted objects.
        found: which of them overlap.
    """
    index: int
    true: np.ndarray
    predicted: Objects
    found: Overlaps


class ObjectScorer:
    """Scores objects at the size of the labels' files; a listener of ``evaluate``.

    Args:
        samples: the samples that are evaluated.
        options: how objects are found in the probabilities, which are resized to the labels.
        listeners: called with the ScoredObjects of each image.
    """

    def __init__(self, samples: ValidationSamples, options: ObjectOptions,
                 *listeners: Callable[[ScoredObjects], object]) -> None:
        self.samples, self.options, self.listeners = samples, options, listeners
        self.scores = ObjectScores()

    def add(self, image: ScoredImage) -> None:
        """Score an image. Pixels whose label is ignored are of no object."""
        classes = self.samples.own_classes(image.index)
        true = self.samples.own_objects(image.index)
        volume, interior = at_label_size(image, classes.shape)
        predicted = find_objects(volume, self.options, interior)
        labels = np.where(classes == IGNORED, 0, predicted.labels)
        found = overlaps(true, labels).of_same_class(_class_of(true, classes), predicted.classes)
        self.scores.add(self.samples.name(image.index), found)
        for listener in self.listeners:
            listener(ScoredObjects(image.index, true, Objects(labels, predicted.classes), found))


def check_can_be_kept(samples: ValidationSamples) -> None:
    """Raise UNetError if an image is too large to keep its probabilities; only headers of files are read."""
    geometry = samples.transform.geometry
    for index in samples.indices:
        height, width = geometry.content if geometry and not samples.keep_label_size else samples.reader.size(index)
        if height * width > MOST_PIXELS:
            raise UNetError(f"{samples.reader.name(index)}: {width}x{height} pixels; objects are scored in images of "
                            f"at most {MOST_PIXELS / 1e6:.0f} megapixels: cut it, or leave out object_metrics, "
                            f"fit_objects and the objects of eval_metrics")


def at_label_size(image: ScoredImage, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the probabilities, and those of the interior or None, resized bilinearly to the (H, W) of a label file.

    Images are those of ``check_can_be_kept``.
    """
    assert image.volume is not None
    volume = np.stack([_resized(image.volume[..., number], size) for number in range(image.volume.shape[-1])], axis=-1)
    return volume, None if image.interior is None else _resized(image.interior, size)


def _resized(probability: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return probability if probability.shape == size else resize_image(np.ascontiguousarray(probability), size)


def _class_of(objects: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return number of an object -> its class, given that all its pixels are of one."""
    result = np.zeros(objects.max(initial=0) + 1, int)
    result[objects] = np.where(objects > 0, classes, 0)
    return result
