"""Pictures of predictions against labels: agreement, false positives and false negatives."""
import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

# Of Okabe and Ito's palette, "Color Universal Design", 2008: three that differ in lightness as well as in hue, so that
# readers of any colour vision tell them apart; the fourth is for many classes alone.
COLOURS = {"agreement": (86, 180, 233), "false positive": (213, 94, 0), "false negative": (240, 228, 66),
           "another class": (0, 0, 0)}
AGREEMENT_ALPHA, ERROR_ALPHA = 0.4, 0.85

LONGEST_SIDE = 512      # of a picture in the report, in pixels


@dataclass(frozen=True)
class Picture:
    """An image of an evaluation.

    Attributes:
        name: of the image.
        dice, iou: its soft Dice and IoU.
        image, overlay: (h, w, 3) uint8 RGB; the image, and the image with the colours over it.
    """
    name: str
    dice: float
    iou: float
    image: np.ndarray
    overlay: np.ndarray


class Gallery:
    """The pictures of the first, the best and the worst images of an evaluation, by their soft Dice.

    Args:
        samples (ValidationSamples): what is evaluated.
        most (int): how many of each.
    """

    def __init__(self, samples, most=5):
        self.samples, self.most = samples, most
        self.first, self.best, self.worst = [], [], []

    def add(self, judged):
        """Take the ``Judged`` of an image, in the order of the samples."""
        # A shelf and its order, by what pictures and what is judged have alike.
        places = [(self.first, lambda item: 0), (self.best, lambda item: -item.dice),
                  (self.worst, lambda item: item.dice)]
        wanted = [(shelf, key) for shelf, key in places if len(shelf) < self.most or key(judged) < key(shelf[-1])]
        if not wanted:
            return
        image = self.samples.pixels(judged.index, judged.classes.shape)
        picture = Picture(self.samples.name(judged.index), judged.dice, judged.iou, *_smaller(
            image, overlay(image, judged.predicted, judged.classes)))
        for shelf, key in wanted:
            shelf.append(picture)
            shelf.sort(key=key)
            del shelf[self.most:]


def overlay(image, predicted, classes):
    """Colour an image by what a prediction gets right and wrong of the foreground, all classes but 0.

    Args:
        image (np.ndarray): (h, w, 3) uint8.
        predicted (np.ndarray): (h, w) class numbers.
        classes (np.ndarray): (h, w) class numbers of the label.

    Returns:
        np.ndarray: (h, w, 3) uint8.
    """
    result = image.astype(np.float32)
    places = {"agreement": (predicted == classes) & (classes > 0), "false positive": (predicted > 0) & (classes == 0),
              "false negative": (predicted == 0) & (classes > 0),
              "another class": (predicted != classes) & (predicted > 0) & (classes > 0)}
    for name, place in places.items():
        alpha = AGREEMENT_ALPHA if name == "agreement" else ERROR_ALPHA
        result[place] = (1 - alpha) * result[place] + alpha * np.array(COLOURS[name], np.float32)
    return np.rint(result).astype(np.uint8)


def jpeg_bytes(pixels):
    """(h, w, 3) uint8 RGB as a JPEG file's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=88, subsampling=0)
    return buffer.getvalue()


def _smaller(*pictures):
    height, width = pictures[0].shape[:2]
    factor = LONGEST_SIDE / max(height, width)
    if factor >= 1:
        return pictures
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return tuple(cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures)
