"""A network ready for prediction, whatever runs it; and the mean of several. Without MindSpore."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from src.data.data_options import input_min
from src.data.input_options import CLASS_NAMES
from src.evaluation.evaluate import BandPredictor, Predictor
from src.inference.tta import with_tta
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.options import NATIVE
from src.networks.registry import check_activation
from src.tiling.predictor import Windows, in_windows


@dataclass(frozen=True)
class LoadedNetwork:
    """A network, or the mean of several, and what making its input must know about it.

    Attributes:
        predict: gives probabilities, see ``src.evaluation.evaluate``.
        path: what was loaded.
        device: what runs it.
        fixed_size: (height, width) of its input, if it takes no other.
        windows: how images are cut for it.
        scale: factor by which training resized images.
        activate: what its own results are, see ``src.evaluation.evaluate``; Argmax stands here for probabilities of 0
            and 1.
        stored: the input options that are stored with it, see ``src.data.input_options``.
        config: all options, with those that are stored.
        files: the ONNX file or the checkpoints.
        predict_window: as ``predict``, of windows that hold their cores' whole context; trimmed, see
            ``src.networks.layers``. None uses ``predict``.
    """
    predict: Predictor
    path: str
    device: str
    fixed_size: tuple[int, int] | None
    windows: Windows
    scale: float
    activate: str
    stored: dict[str, Any]
    config: Config
    files: tuple[Path, ...] = ()
    predict_window: Predictor | None = None

    @property
    def names(self) -> Sequence[str]:
        """The names of the classes that are stored with it; empty if none are."""
        return self.stored.get(CLASS_NAMES, ())

    def averaged(self, of_windows: bool = False) -> Predictor:
        """Return ``predict`` with the test-time augmentation that the options ask for.

        Args:
            of_windows: of ``predict_window`` instead.

        Raises:
            UNetError: the network takes only images that are not square.
        """
        predict = self.predict_window if of_windows and self.predict_window else self.predict
        if not self.config.tta:
            return predict
        if self.fixed_size and self.fixed_size[0] != self.fixed_size[1]:
            raise UNetError(f"tta turns the images, which must be square for {self.path}: it takes only "
                            f"{self.fixed_size[1]}x{self.fixed_size[0]}")
        return with_tta(predict)

    def for_evaluation(self) -> Predictor | BandPredictor:
        """Return the predictor of validation samples.

        Raises:
            UNetError: see ``averaged``, or eval_activate does not fit the network.
        """
        wanted, is_native = self.config.eval_activate, self.config.image_size == NATIVE
        predict = self.averaged(is_native)
        check_activation(self.activate.lower(), wanted, self.config.model_name)
        if is_native:
            in_bands = in_windows(predict, self.windows, input_min(self.config.input_range))
            if wanted != "Argmax":
                return in_bands
            return lambda images: (band.argmax(axis=-1) for band in in_bands(images))
        return predict if wanted != "Argmax" else lambda images: predict(images).argmax(axis=-1)


def at_first_use(make: Callable[[], Predictor]) -> Predictor:
    """Return a predictor that is made when it is called first; many runs use only one of two."""
    made = cache(make)

    def predict(images: np.ndarray) -> np.ndarray:
        return made()(images)
    return predict


def mean_of(predictors: Sequence[Predictor]) -> Predictor:
    """Return a predictor that gives the mean of the results of all."""
    return predictors[0] if len(predictors) == 1 else partial(_mean, predictors)


def _mean(predictors: Sequence[Predictor], images: np.ndarray) -> np.ndarray:
    total = predictors[0](images).copy()
    for predict in predictors[1:]:
        total += predict(images)
    return total / np.float32(len(predictors))
