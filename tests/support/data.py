"""Data that tests draw, and the files that they are given."""
import numpy as np
from PIL import Image

from tests.support.scripts import PROJECT

FIXTURES = PROJECT / "tests" / "fixtures"


def write_pairs(folder, names, size=(40, 48), classes=2, seed=0):
    """Write NAME/image.png and NAME/mask.png: bright squares on dark ground; masks 0/255, or class numbers."""
    rng = np.random.default_rng(seed)
    for name in names:
        image = rng.integers(0, 60, (*size, 3), dtype=np.uint8)
        mask = np.zeros(size, np.uint8)
        for number in range(1, classes):
            top, left = rng.integers(0, size[0] - 16), rng.integers(0, size[1] - 16)
            image[top:top + 16, left:left + 16] += np.uint8(190 * number // (classes - 1))
            mask[top:top + 16, left:left + 16] = 255 if classes == 2 else number
        (folder / name).mkdir(parents=True)
        Image.fromarray(image).save(folder / name / "image.png")
        Image.fromarray(mask).save(folder / name / "mask.png")
    return folder
