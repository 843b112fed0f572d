"""Fitting the options of objects on the training images of a network."""
import math
from pathlib import Path

import numpy as np

from src.data.class_values import IGNORED
from src.data.samples import ValidationSamples, create_samples
from src.data.training_options import with_patches
from src.evaluation.evaluate import BandPredictor, Predictor, ScoredImage, ScoreOptions, evaluate
from src.evaluation.object_fit import NAMES, KnownImage, fit, fitted_path, store, with_fitted
from src.evaluation.objects import ObjectOptions
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.report.object_scores import at_label_size, check_can_be_kept

MOST, MOST_KEPT = 64, 2**26     # images, evenly spread, and their pixels, of which each takes 16 bytes


def fit_or_follow(predict: Predictor | BandPredictor, validation: ValidationSamples, config: Config,
                  network: str | Path) -> Config:
    """Return the options of objects for an evaluation: fitted now with fit_objects, else as they were fitted earlier.

    Args:
        predict: the network.
        validation: the validation images; those of the same data set that train are fitted on.
        config: the options.
        network: the file of the network.
    """
    if config.fit_objects:
        train, _ = create_samples(with_patches(config), validation.transform.normalization)
        return fit_objects(predict, train.as_validation(config.eval_resize), config, network)
    return with_fitted(config, network) if config.object_metrics else config


def fit_objects(predict: Predictor | BandPredictor, samples: ValidationSamples, config: Config,
                network: str | Path) -> Config:
    """Fit the options of objects, and write them beside the network; see ``src.evaluation.object_fit``.

    Args:
        predict: the network.
        samples: training images, without augmentation.
        config: the options.
        network: the file of the network.

    Returns:
        Config: the options with the fitted ones.

    Raises:
        UNetError: more than two classes, no training image, an image that is too large, or a file that cannot be
            written.
    """
    if config.num_classes != 2:
        raise UNetError(f"fit_objects fits objects of one class, and num_classes is {config.num_classes}; set the "
                        f"options object_threshold and others by hand")
    if not Path(network).exists():
        raise UNetError(f"fit_objects keeps its result beside one checkpoint, or in the folder of the folds, and "
                        f"{network} are several; fit for one of them, or give the folder")
    if len(samples) == 0:
        raise UNetError("fit_objects: no training image to fit on; raise split")
    areas = {index: math.prod(samples.reader.size(index)) for index in samples.indices[::-(-len(samples) // MOST)]}
    usual = int(np.median(list(areas.values())))
    step = -(-len(areas) // max(1, MOST_KEPT // usual))
    chosen = [index for index, area in areas.items() if area <= 4 * usual][::step]
    few = ValidationSamples(samples.reader, chosen, samples.transform, samples.num_classes,
                            samples.keep_label_size)
    check_can_be_kept(few)
    images: list[KnownImage] = []

    def keep(image: ScoredImage) -> None:
        probabilities, interior = at_label_size(image, few.own_classes(image.index).shape)
        probabilities = np.where((few.own_classes(image.index) == IGNORED)[..., None], 0, probabilities)
        images.append(KnownImage(probabilities, interior, few.own_objects(image.index)))

    evaluate(predict, few, ScoreOptions.from_config(config), keep)
    best, score = fit(images, ObjectOptions.from_config(config))
    store(fitted_path(network), best, score, len(images))
    return config.replace(**{name: getattr(best, field) for name, field in NAMES.items()})
