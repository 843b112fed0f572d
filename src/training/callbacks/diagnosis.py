"""The sentences at the end of a run that ended early or scored poorly."""
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from src.data.samples import ValidationSamples
from src.model_utils.errors import UNetError
from src.model_utils.files import DATASET_JSON
from src.model_utils.inputs import read_json
from src.report.diagnosis import RunFacts, diagnose, needs_diagnosis
from src.report.history import STEP, VALIDATION, History
from src.training.callbacks.callback import Callback
from src.training.run_folder import RunFolder
from src.training.trainer import Trainer

logger = logging.getLogger("unet")

MEASURED = 8            # validation images whose objects are measured


class Diagnosis(Callback):
    """Logs what may be the reason for a poor score, once the run is over.

    Args:
        folder (RunFolder): the output folder, which holds the findings about the data.
        history (History): the scores and losses; this callback comes after HistoryWriter.
        samples (ValidationSamples): the validation samples.
        train (int): number of training images.
        names (list[str]): names of the classes.
        scale (callable): returns the factor by which training resizes a side.
    """

    def __init__(self, folder: RunFolder, history: History, samples: ValidationSamples, train: int, names: list[str],
                 scale: Callable[[], float]) -> None:
        self.folder, self.history, self.samples, self.scale = folder, history, samples, scale
        self.train, self.names = train, names

    def on_train_end(self, trainer: Trainer) -> None:
        found = trainer.evaluation
        if not found or not trainer.over or not needs_diagnosis(found.best, trainer.ends_early):
            return
        curves = self.history.curves
        facts = RunFacts(found.metric, [*zip(*curves.points(VALIDATION, found.metric))],
                         [*zip(*curves.points(STEP, "loss"))], trainer.ends_early, self.names, found.scores.confusion,
                         self._differing(), self.train, len(self.samples), self._diameter())
        for sentence in diagnose(facts):
            logger.info("%s", sentence)

    def _differing(self) -> list[str]:
        """Return what the check of the data set says about the ranges of numbers."""
        try:
            return read_json(Path(self.folder) / DATASET_JSON,
                             lambda content: [str(line) for line in content["differing_ranges"]])
        except UNetError:       # not checked, or by another version
            return []

    def _diameter(self) -> float | None:
        """Return the median diameter of the objects in some validation labels, as the network sees them."""
        areas = [np.bincount(self.samples.own_objects(int(index)).ravel())[1:]
                 for index in np.unique(np.linspace(0, len(self.samples) - 1, MEASURED).astype(int))]
        sizes = np.concatenate(areas)
        sizes = sizes[sizes > 0]
        return self.scale() * float(np.median(np.sqrt(4 / np.pi * sizes))) if len(sizes) else None
