"""Images with predictions drawn over them: agreement with the label, false positives and false negatives."""
import base64
import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from src.data.samples import ValidationSamples
from src.evaluation.evaluate import ScoredImage
from src.report.object_pictures import THRESHOLD, object_overlay
from src.report.object_scores import ScoredObjects

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


@dataclass(frozen=True)
class ObjectImage:
    """An image of an evaluation with its objects.

    Attributes:
        name: name of the image.
        accuracy: of its objects, at an IoU of 0.5.
        true, predicted: number of its objects.
        image: (h, w, 3) uint8 RGB.
        overlay: (h, w, 3) uint8 RGB, the image with the objects over it.
    """
    name: str
    accuracy: float
    true: int
    predicted: int
    image: np.ndarray
    overlay: np.ndarray


class Gallery:
    """Keeps the first, the best and the worst images of an evaluation, by their soft Dice.

    Args:
        samples (ValidationSamples): the samples that are evaluated.
        most (int): number of images in each list.

    Attributes:
        first, worst, best (list[GalleryImage]): at most ``most`` images each, the worst or the best one first. Those
            of few images that are among the worst are not among the best.
        objects (list[ObjectImage]): at most ``most`` images, those with the worst accuracy of objects first.
    """

    def __init__(self, samples: ValidationSamples, most: int = 5) -> None:
        self.samples, self.most = samples, most
        self.first: list[GalleryImage] = []
        self.worst: list[GalleryImage] = []
        self._best: list[GalleryImage] = []
        self.objects: list[ObjectImage] = []

    @property
    def best(self) -> list[GalleryImage]:
        """The best images that are not among the worst."""
        return [image for image in self._best if not any(image is other for other in self.worst)]

    def add(self, scored: ScoredImage) -> None:
        """Keep an image if it belongs into one of the lists; images come in the order of the samples."""
        # A list -> how many of its images stay before this one. Of images that are alike, the first are among the worst
        # and the last among the best, so that few images do not fill both lists with the same ones.
        places = [(self.first, len(self.first)),
                  (self._best, sum(image.dice > scored.dice for image in self._best)),
                  (self.worst, sum(image.dice <= scored.dice for image in self.worst))]
        wanted = [(images, place) for images, place in places if place < self.most]
        if not wanted:
            return
        # Of very large images every second or third pixel is enough, and needs far less memory.
        few = (slice(None, None, max(1, max(scored.classes.shape) // (4 * LONGEST_SIDE))),) * 2
        pixels = np.ascontiguousarray(self.samples.pixels(scored.index, scored.classes.shape)[few])
        image = GalleryImage(self.samples.name(scored.index), scored.dice, scored.iou, smaller(pixels),
                             smaller(overlay(pixels, scored.predicted[few], scored.classes[few], scored.counted[few])))
        for images, place in wanted:
            images.insert(place, image)
            del images[self.most:]

    def add_objects(self, scored: ScoredObjects) -> None:
        """Keep an image if its objects are among those with the worst accuracy."""
        counts = scored.found.counts(THRESHOLD)
        accuracy = counts.metrics()["accuracy"]
        place = sum(image.accuracy <= accuracy for image in self.objects)
        if place < self.most:
            pixels = self.samples.pixels(scored.index, scored.true.shape)
            self.objects.insert(place, ObjectImage(self.samples.name(scored.index), accuracy, len(scored.found.true),
                                                   len(scored.found.predicted), smaller(pixels),
                                                   smaller(object_overlay(pixels, scored))))
            del self.objects[self.most:]


def overlay(image: np.ndarray, predicted: np.ndarray, classes: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Colour an image by where a prediction is right and wrong about the foreground, all classes but 0.

    Args:
        image (np.ndarray): (h, w, 3) uint8 RGB.
        predicted (np.ndarray): (h, w) class numbers.
        classes (np.ndarray): (h, w) class numbers of the label.
        counted (np.ndarray): (h, w) bool; where it is False, the image stays as it is.

    Returns:
        np.ndarray: (h, w, 3) uint8 RGB.
    """
    result = image.astype(np.float32)
    places = {"agreement": (predicted == classes) & (classes > 0), "false positive": (predicted > 0) & (classes == 0),
              "false negative": (predicted == 0) & (classes > 0),
              "another class": (predicted != classes) & (predicted > 0) & (classes > 0)}
    for name, place in places.items():
        alpha = AGREEMENT_ALPHA if name == "agreement" else ERROR_ALPHA
        result[place & counted] = (1 - alpha) * result[place & counted] + alpha * np.array(COLOURS[name], np.float32)
    return np.rint(result).astype(np.uint8)


def jpeg_bytes(pixels: np.ndarray) -> bytes:
    """Encode (h, w, 3) uint8 RGB as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=88, subsampling=0)
    return buffer.getvalue()


def data_uri(pixels: np.ndarray) -> str:
    """Return (h, w, 3) uint8 RGB as a JPEG inside the address of an image."""
    return jpeg_uri(jpeg_bytes(pixels))


def jpeg_uri(data: bytes) -> str:
    """Return a JPEG file as the address of an image."""
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def smaller(pixels: np.ndarray) -> np.ndarray:
    """Return a picture, made smaller if a side is longer than LONGEST_SIDE."""
    height, width = pixels.shape[:2]
    factor = LONGEST_SIDE / max(height, width)
    if factor >= 1:
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
