"""Test-time augmentation: the mean over the 8 flips and quarter turns. Without MindSpore."""
import numpy as np

from src.data.transforms import channels_first
from src.model_utils.errors import UNetError


def with_tta(predict, config):
    """The predictor, averaged over the 8 flips and quarter turns of the image if the options ask for ``tta``.

    Raises:
        UNetError: a predictor of class numbers, or (when it predicts) an image that is not square.
    """
    if not config.tta:
        return predict
    if config.eval_activate == "Argmax":
        raise UNetError("tta averages probabilities, and eval_activate Argmax gives class numbers; take Softmax (an "
                        "ONNX file has what it was exported with)")
    run = with_flips(lambda pixels: predict(channels_first(pixels)[None])[0])

    def averaged(images):
        height, width = images.shape[2:]
        if height != width:
            raise UNetError(f"tta turns the image, which must be square, and it is {height}x{width} (height x width)")
        return run(images[0].transpose(1, 2, 0))[None]
    return averaged


def with_flips(run):
    """``run`` averaged over the 8 flips and quarter turns of a square window."""
    def averaged(pixels):
        total = None
        for turns in range(4):
            for flip in (False, True):
                view = np.rot90(pixels, turns)
                result = run(view[:, ::-1] if flip else view)
                result = np.rot90(result[:, ::-1] if flip else result, -turns)
                total = result.copy() if total is None else np.add(total, result, out=total)
        return total / np.float32(8)
    return averaged
