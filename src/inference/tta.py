"""Test-time augmentation: the mean over the 8 flips and quarter turns. Without MindSpore."""
from collections.abc import Callable

import numpy as np

from src.data.transforms import channels_first
from src.evaluation.evaluate import Predictor
from src.model_utils.errors import UNetError


def with_tta(predict: Predictor, activate: str) -> Predictor:
    """Average a predictor over the 8 flips and quarter turns of the image.

    Args:
        predict: the predictor.
        activate: Softmax, Sigmoid or Argmax, what it gives.

    Raises:
        UNetError: the predictor gives class numbers; or, during prediction, the image is not square.
    """
    if activate == "Argmax":
        raise UNetError("tta averages probabilities, and eval_activate Argmax gives class numbers; take Softmax (an "
                        "ONNX file has what it was exported with)")
    averaged_pixels = with_flips(lambda pixels: predict(channels_first(pixels)[None])[0])

    def averaged(images):
        height, width = images.shape[2:]
        if height != width:
            raise UNetError(f"tta turns the image, which must be square, and it is {height}x{width} (height x width)")
        return averaged_pixels(images[0].transpose(1, 2, 0))[None]
    return averaged


def with_flips(predict: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Average a function of square pixels, (s, s, C) -> (s, s, classes), over their 8 flips and quarter turns."""
    def averaged(pixels):
        total = None
        for turns in range(4):
            for flip in (False, True):
                view = np.rot90(pixels, turns)
                result = predict(view[:, ::-1] if flip else view)
                result = np.rot90(result[:, ::-1] if flip else result, -turns)
                total = result.copy() if total is None else np.add(total, result, out=total)
        return total / np.float32(8)
    return averaged
