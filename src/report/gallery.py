"""Images with predictions drawn over them: agreement with the label, false positives and false negatives."""
import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from src.data.samples import ValidationSamples
from src.evaluation.evaluate import ScoredImage

# From Okabe and Ito's palette, "Color Universal Design", 2008. The first three differ in lightness as well as in hue,
# so that readers with any colour vision tell them apart; the fourth occurs only with more than two classes.
COLOURS = {"agreement": (86, 180, 233), "false positive": (213, 94, 0), "false negative": (240, 228, 66),
           "another class": (0, 0, 0)}
AGREEMENT_ALPHA, ERROR_ALPHA = 0.4, 0.85

LONGEST_SIDE = 512      # in pixels; larger images are made smaller


@dataclass(frozen=True)
class GalleryImage:
    """An image of an evaluation, ready to be shown.

    Attributes:
        name: name of the image.
        dice, iou: soft Dice and IoU.
        image: (h, w, 3) uint8 RGB.
        overlay: (h, w, 3) uint8 RGB, the image with the colours over it.
    """
    name: str
    dice: float
    iou: float
    image: np.ndarray
    overlay: np.ndarray


class Gallery:
    """Keeps the first, the best and the worst images of an evaluation, by their soft Dice.

    Args:
        samples (ValidationSamples): the samples that are evaluated.
        most (int): number of images in each list.

    Attributes:
        first, best, worst (list[GalleryImage]): at most ``most`` images each, the best or the worst one first.
    """

    def __init__(self, samples: ValidationSamples, most: int = 5) -> None:
        self.samples, self.most = samples, most
        self.first: list[GalleryImage] = []
        self.best: list[GalleryImage] = []
        self.worst: list[GalleryImage] = []

    def add(self, scored: ScoredImage) -> None:
        """Keep an image if it belongs into one of the lists; images come in the order of the samples."""
        # A place in a list -> how many of its images stay before this one.
        places = [(self.first, len(self.first)),
                  (self.best, sum(image.dice >= scored.dice for image in self.best)),
                  (self.worst, sum(image.dice <= scored.dice for image in self.worst))]
        wanted = [(images, place) for images, place in places if place < self.most]
        if not wanted:
            return
        pixels = self.samples.pixels(scored.index, scored.classes.shape)
        image = GalleryImage(self.samples.name(scored.index), scored.dice, scored.iou, _smaller(pixels),
                             _smaller(overlay(pixels, scored.predicted, scored.classes)))
        for images, place in wanted:
            images.insert(place, image)
            del images[self.most:]


def overlay(image: np.ndarray, predicted: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Colour an image by where a prediction is right and wrong about the foreground, all classes but 0.

    Args:
        image (np.ndarray): (h, w, 3) uint8 RGB.
        predicted (np.ndarray): (h, w) class numbers.
        classes (np.ndarray): (h, w) class numbers of the label.

    Returns:
        np.ndarray: (h, w, 3) uint8 RGB.
    """
    result = image.astype(np.float32)
    places = {"agreement": (predicted == classes) & (classes > 0), "false positive": (predicted > 0) & (classes == 0),
              "false negative": (predicted == 0) & (classes > 0),
              "another class": (predicted != classes) & (predicted > 0) & (classes > 0)}
    for name, place in places.items():
        alpha = AGREEMENT_ALPHA if name == "agreement" else ERROR_ALPHA
        result[place] = (1 - alpha) * result[place] + alpha * np.array(COLOURS[name], np.float32)
    return np.rint(result).astype(np.uint8)


def jpeg_bytes(pixels: np.ndarray) -> bytes:
    """Encode (h, w, 3) uint8 RGB as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=88, subsampling=0)
    return buffer.getvalue()


def _smaller(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    factor = LONGEST_SIDE / max(height, width)
    if factor >= 1:
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
