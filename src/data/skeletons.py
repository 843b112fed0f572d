"""The skeletons of the classes, whose recall is a loss for thin structures such as membranes.

Kirchhoff, Rokuss, Roy, Kovacs, Ulrich, Wald, Zenk, Vollmuth, Kleesiek, Isensee, Maier-Hein: Skeleton Recall Loss for
Connectivity Conserving and Resource Efficient Segmentation of Thin Tubular Structures, 2024, arXiv:2404.03010. A gap in
a membrane is a few pixels, and costs little in a mean over all pixels; of the skeleton it is a larger part.
"""
import cv2
import numpy as np

from src.data.class_values import IGNORED

LOSS = "skeleton_recall"    # the part of the option ``loss`` that takes skeletons
WIDENED = 2                 # pixels on each side, as in the paper


def are_needed(loss: str) -> bool:
    """Return whether the option ``loss``, a name or a sum of names, takes skeletons."""
    return LOSS in map(str.strip, loss.split("+"))


def skeletons(classes: np.ndarray) -> np.ndarray:
    """Mark the skeletons of all classes: (H, W) class numbers -> (1, H, W) float32 of zeros and ones.

    The skeleton of a class is thinned to one pixel, and then widened within the class. Ignored pixels have none.
    """
    from skimage.morphology import skeletonize  # takes a moment to load

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    marked = np.zeros(classes.shape, bool)
    for number in np.unique(classes):
        if number != IGNORED:
            region = classes == number
            line = skeletonize(region).astype(np.uint8)
            marked |= region & (cv2.dilate(line, cross, iterations=WIDENED) > 0)
    return marked[None].astype(np.float32)
