"""The result of an evaluation."""
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from src.evaluation.metrics import OBJECT_METRICS, MetricSummary
from src.evaluation.object_scores import ObjectScores

if TYPE_CHECKING:       # scikit-image takes a moment to load
    from src.evaluation.isbi_metrics import BestThreshold


@dataclass
class Scores:
    """Metrics of an evaluation, for each image and over all images.

    Attributes:
        include_background: whether class 0 counts in the soft metrics.
        names: names of the images.
        dice, iou: soft Dice and IoU of each image.
        hard: ``ClassCounts.summary()`` over all images.
        hard_per_image: name -> value of each image; the names and values of ``foreground_metrics``.
        confusion: (classes, classes) pixel counts over all images: row = class of the label, column = predicted class.
        board: "V_rand" and "V_info" -> their best values; empty unless the ISBI board's metrics were asked for.
        objects: the metrics of objects; None unless they were asked for.
    """
    include_background: bool
    names: list[str] = field(default_factory=list)
    dice: list[float] = field(default_factory=list)
    iou: list[float] = field(default_factory=list)
    hard: dict[str, MetricSummary] = field(default_factory=dict)
    hard_per_image: dict[str, list[float]] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    board: "dict[str, BestThreshold]" = field(default_factory=dict)
    objects: ObjectScores | None = None

    @property
    def mean_dice(self) -> float:
        """Cross-valid soft Dice: the mean over the images."""
        return float(np.mean(self.dice))

    @property
    def mean_iou(self) -> float:
        """Cross-valid soft IoU: the mean over the images."""
        return float(np.mean(self.iou))

    def metric(self, name: str) -> float:
        """Return the mean over the images of one of ``src.evaluation.metrics.METRIC_NAMES``.

        Those of objects are NaN if they were not asked for.
        """
        if name in OBJECT_METRICS:
            return self.objects.metric(name) if self.objects else float("nan")
        return float(np.mean({"dice_coeff": self.dice, "iou": self.iou, **self.hard_per_image}[name]))

    def line(self, names: Iterable[str]) -> str:
        """Return several metrics as text: ``acc: 0.9124, hard_iou: 0.8831``."""
        return ", ".join(f"{name}: {self.metric(name):.4f}" for name in names)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for metrics.json."""
        board = {name: {"value": best.value, "threshold": best.threshold} for name, best in self.board.items()}
        return {"soft": {"dice_coeff": self.mean_dice, "iou": self.mean_iou,
                         "include_background": self.include_background,
                         "definition": "mean over images of 2 sum(p y) / (sum(p^2) + sum(y^2)) over the one-hot volume",
                         "per_image": [{"name": name, "dice_coeff": dice, "iou": iou}
                                       for name, dice, iou in zip(self.names, self.dice, self.iou)]},
                "hard": {"definition": "from pixel counts over all images; one class against the rest",
                         **self.hard, "confusion": self.confusion},
                "hard_per_image": {"definition": "mean over images; the foreground, all classes but 0, against the "
                                                 "background; 1e-5 in the denominators of all but acc",
                                   **{name: self.metric(name) for name in self.hard_per_image},
                                   "per_image": [{"name": name, **dict(zip(self.hard_per_image, values))}
                                                 for name, *values in zip(self.names, *self.hard_per_image.values())]},
                **({"isbi_board": board} if board else {}),
                **({"objects": self.objects.as_dict()} if self.objects else {})}
