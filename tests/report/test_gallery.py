"""The gallery keeps the right images, and the overlay has the right colours."""
from itertools import combinations

import numpy as np
import pytest

from src.evaluation.evaluate import ScoredImage
from src.report.gallery import COLOURS, Gallery, overlay


class Samples:
    def name(self, index):
        return f"image {index}"

    def pixels(self, index, size):
        return np.full((*size, 3), index, np.uint8)


def scored(index, dice, side=4):
    zeros = np.zeros((side, 2 * side), np.uint8)
    return ScoredImage(index, None, zeros, zeros, zeros == 0, dice, dice / (2 - dice))


def test_the_first_the_best_and_the_worst_images_are_kept():
    gallery = Gallery(Samples(), most=2)
    for index, dice in enumerate([0.5, 0.9, 0.1, 0.7, 0.95, 0.2]):
        gallery.add(scored(index, dice))
    assert [image.name for image in gallery.first] == ["image 0", "image 1"]
    assert [image.dice for image in gallery.best] == [0.95, 0.9]
    assert [image.dice for image in gallery.worst] == [0.1, 0.2]
    assert gallery.best[0].image[0, 0].tolist() == [4, 4, 4]


@pytest.mark.parametrize("count, worst, best", [(2, 2, 0), (3, 2, 1), (4, 2, 2), (9, 2, 2)])
def test_few_images_are_shown_once(count, worst, best):
    gallery = Gallery(Samples(), most=2)
    for index in range(count):
        gallery.add(scored(index, 0.5))     # alike, so that none is better
    names = [image.name for image in gallery.worst + gallery.best]
    assert (len(gallery.worst), len(gallery.best)) == (worst, best) and len(set(names)) == len(names)


def test_large_images_are_made_smaller():
    gallery = Gallery(Samples(), most=1)
    gallery.add(scored(0, 0.5, side=600))
    assert gallery.first[0].image.shape == gallery.first[0].overlay.shape == (256, 512, 3)


def test_the_overlay_blends_the_colours_into_the_image():
    """By hand: on black, 0.4 of the colour of agreement and 0.85 of the others; neither the background changes nor
    what is ignored."""
    predicted, classes = np.array([[0, 1, 1, 0, 2, 1, 0]]), np.array([[0, 1, 0, 1, 1, 255, 255]])
    pixels = overlay(np.zeros((1, 7, 3), np.uint8), predicted, classes, classes < 255)
    shares = {"agreement": 0.4, "false positive": 0.85, "false negative": 0.85, "another class": 0.85}
    expected = [np.rint(share * np.array(COLOURS[name])).tolist() for name, share in shares.items()]
    assert pixels[0].tolist() == [[0, 0, 0], *expected, [0, 0, 0], [0, 0, 0]]


# Linear RGB as dichromats see it: Machado, Oliveira, Fernandes, "A Physiologically-based Model for Simulation of
# Color Vision Deficiency", IEEE TVCG 15(6), 2009, severity 1.
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(linear):
    """CIE L*a*b* under D65 of linear sRGB."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    x, y, z = np.where(xyz / [0.9505, 1, 1.089] > 0.008856, np.cbrt(xyz / [0.9505, 1, 1.089]),
                       7.787 * xyz / [0.9505, 1, 1.089] + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("deficiency", [None, *DEFICIENCIES])
def test_every_reader_tells_the_colours_apart(deficiency):
    """20 in L*a*b* is far beyond a just noticeable difference, which is 2.3."""
    seen = []
    for colour in list(COLOURS.values())[:3]:
        linear = (np.array(colour) / 255) ** 2.2
        seen.append(lab(np.clip(np.array(DEFICIENCIES[deficiency]) @ linear if deficiency else linear, 0, 1)))
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 20
