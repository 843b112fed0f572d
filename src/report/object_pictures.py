"""Images with their objects drawn over them: matched, missed, invented, merged and split ones."""
import numpy as np

from src.report.object_scores import ScoredObjects

# Colours of Okabe and Ito, as in ``src.report.gallery``. The four kinds after the first have no match at an IoU of 0.5.
OBJECT_COLOURS = {"matched": (86, 180, 233), "missed": (240, 228, 66), "invented": (213, 94, 0),
                  "merged": (204, 121, 167), "split": (0, 158, 115)}
_NAMES = list(OBJECT_COLOURS)
TINT = 0.45             # opacity of the colour inside an object; its outline is opaque
THRESHOLD = 0.5


def outlines(labels: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: the pixels of objects whose neighbour above, below, left or right has another number."""
    edge = np.zeros(labels.shape, bool)
    for numbers, places in ((labels, edge), (labels.T, edge.T)):
        differs = numbers[1:] != numbers[:-1]
        places[1:] |= differs
        places[:-1] |= differs
    return edge & (labels > 0)


def kinds_of_pixels(scored: ScoredObjects) -> np.ndarray:
    """Return the (H, W) kind of each pixel: 0 for none, else 1 + its place among ``OBJECT_COLOURS``.

    A predicted object that matches is matched. Another one is merged if it holds more than half of each of several true
    objects, split if more than half of it lies in a true object that holds several such, else invented. A true object
    without a match is missed, where no such predicted object is.
    """
    found, labels = scored.found, scored.predicted.labels
    matched = found.pairs[found.matches(THRESHOLD)]
    kind = np.full(len(found.predicted), 1 + _NAMES.index("invented"))
    inside = 2 * found.common > found.predicted_areas[found.pairs[:, 1]]
    kind[found.pairs[inside & np.isin(found.pairs[:, 0], found.divided()), 1]] = 1 + _NAMES.index("split")
    kind[found.merging()] = 1 + _NAMES.index("merged")
    kind[matched[:, 1]] = 1 + _NAMES.index("matched")
    pixels = _by_number(found.predicted, kind, labels)
    missed = _by_number(found.true, ~np.isin(np.arange(len(found.true)), matched[:, 0]), scored.true) > 0
    pixels[missed & (pixels <= 1 + _NAMES.index("matched"))] = 1 + _NAMES.index("missed")
    return pixels


def _by_number(numbers: np.ndarray, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (H, W) values of the objects, 0 elsewhere."""
    table = np.zeros(labels.max(initial=0) + 1, int)
    table[numbers] = values
    return table[labels]


def object_overlay(image: np.ndarray, scored: ScoredObjects) -> np.ndarray:
    """Colour an image by what became of the true and the predicted objects.

    Args:
        image (np.ndarray): (H, W, 3) uint8 RGB, in the size of the objects.
        scored (ScoredObjects): the objects.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    pixels = kinds_of_pixels(scored)
    colours = np.array([(0, 0, 0), *OBJECT_COLOURS.values()], np.float32)
    edge = outlines(scored.predicted.labels) | outlines(scored.true) & (pixels == 1 + _NAMES.index("missed"))
    opacity = np.where(pixels > 0, np.where(edge, 1, TINT), 0)[..., None].astype(np.float32)
    return np.rint((1 - opacity) * image + opacity * colours[pixels]).astype(np.uint8)
