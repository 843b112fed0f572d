"""Test-time augmentation: the mean over the 8 flips and quarter turns. Without MindSpore."""
from collections.abc import Callable

import numpy as np

from src.evaluation.evaluate import Predictor


def with_tta(predict: Predictor) -> Predictor:
    """Average a predictor of probabilities over the 8 flips and quarter turns of its images.

    Of images that are not square, it gets turned ones of height W and width H too.
    """
    def on_pixels(pixels):
        return predict(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    averaged = with_flips(on_pixels)
    return lambda images: averaged(images.transpose(0, 2, 3, 1))


def with_flips(predict: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Average a function of pixels, (..., h, w, C) -> (..., h, w, classes), over their 8 flips and quarter turns."""
    def averaged(pixels):
        total = None
        for turns in range(4):
            for flip in (False, True):
                view = np.rot90(pixels, turns, (-3, -2))
                result = predict(view[..., ::-1, :] if flip else view)
                result = np.rot90(result[..., ::-1, :] if flip else result, -turns, (-3, -2))
                total = result.copy() if total is None else np.add(total, result, out=total)
        return total / np.float32(8)
    return averaged
