"""The metrics of objects over the images of an evaluation; see ``src.evaluation.object_metrics``."""
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from src.evaluation.object_metrics import THRESHOLDS, MatchCounts, Overlaps

REPORTED = (0.5, 0.75)      # thresholds of the log and of the report


@dataclass
class ObjectScores:
    """Metrics of the objects of any number of images, for each image and pooled.

    Attributes:
        names: names of the images.
        counts: threshold -> counts of each image.
        true, predicted: number of objects of each image.
        merging, divided: number of predicted objects of each image that hold several true ones, and of true objects
            that hold several predicted ones, see ``Overlaps``.
        areas: "true" and "predicted" -> areas in pixels of all objects, an array for each image.
    """
    names: list[str] = field(default_factory=list)
    counts: dict[float, list[MatchCounts]] = field(default_factory=lambda: {value: [] for value in THRESHOLDS})
    true: list[int] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)
    merging: list[int] = field(default_factory=list)
    divided: list[int] = field(default_factory=list)
    areas: dict[str, list[np.ndarray]] = field(default_factory=lambda: {"true": [], "predicted": []})

    def add(self, name: str, found: Overlaps) -> None:
        """Add an image."""
        self.names.append(name)
        for threshold, counts in self.counts.items():
            counts.append(found.counts(threshold))
        for values, number in ((self.true, len(found.true)), (self.predicted, len(found.predicted)),
                               (self.merging, len(found.merging())), (self.divided, len(found.divided()))):
            values.append(number)
        self.areas["true"].append(found.true_areas)
        self.areas["predicted"].append(found.predicted_areas)

    def metric(self, name: str) -> float:
        """Return the mean over the images of one of ``src.evaluation.metrics.OBJECT_METRICS``."""
        if name == "object_mean_accuracy":
            return self.mean_accuracy
        return self.mean(REPORTED[0])[_AT_ONE_HALF[name]]

    def mean(self, threshold: float) -> dict[str, float]:
        """Return name -> mean over the images that have a value, at a threshold; NaN if none has one."""
        return _means(counts.metrics() for counts in self.counts[threshold])

    def pooled(self, threshold: float) -> dict[str, float]:
        """Return name -> value of the objects of all images together, at a threshold."""
        return sum(self.counts[threshold], MatchCounts()).metrics()

    @property
    def mean_accuracy(self) -> float:
        """The accuracy's mean over the images and over the thresholds 0.5, 0.55, ... 0.95."""
        return float(np.mean([self.mean(threshold)["accuracy"] for threshold in self.counts]))

    @property
    def pooled_mean_accuracy(self) -> float:
        """The accuracy of all objects together, its mean over the same thresholds."""
        return float(np.mean([self.pooled(threshold)["accuracy"] for threshold in self.counts]))

    @property
    def count_error(self) -> float:
        """Mean over the images of the absolute difference between the predicted and the true number of objects."""
        return float(np.abs(np.subtract(self.predicted, self.true)).mean())

    @property
    def relative_count_error(self) -> float:
        """The same, relative to the true number, over the images that have an object; NaN if none has one."""
        true = np.array(self.true)
        errors = np.abs(np.subtract(self.predicted, true))[true > 0] / true[true > 0]
        return float(errors.mean()) if len(errors) else float("nan")

    def lines(self) -> list[str]:
        """Return the metrics as the lines of a table, and the counts."""
        names = list(MatchCounts().metrics())
        rows = [(f"{kind}, IoU {threshold:g}", values(threshold)) for threshold in REPORTED
                for kind, values in (("mean over images", self.mean), ("pooled", self.pooled))]
        return [f"{'':<28}" + "".join(f"{name:>18}" for name in names),
                *(f"{title:<28}" + "".join(f"{_shown(row[name]):>18}" for name in names) for title, row in rows),
                f"accuracy, mean over IoU 0.5 to 0.95: {self.mean_accuracy:.4f} (mean over images), "
                f"{self.pooled_mean_accuracy:.4f} (pooled)",
                f"objects: {sum(self.true)} true, {sum(self.predicted)} predicted; error of the number in an image: "
                f"{self.count_error:.2f}, relative {_shown(self.relative_count_error)} (means)",
                f"{sum(self.merging)} predicted objects hold several true ones, {sum(self.divided)} true objects hold "
                f"several predicted ones"]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for metrics.json; a value that is undefined is None."""
        def at(values):
            return {f"{threshold:g}": _plain(values(threshold)) for threshold in self.counts}
        first = REPORTED[0]
        return {"definition": "true and predicted objects that match, one to one, if their IoU is at least the key",
                "mean": {**at(self.mean), "mean_accuracy": self.mean_accuracy},
                "pooled": {**at(self.pooled), "mean_accuracy": self.pooled_mean_accuracy},
                "number": _plain({"true": sum(self.true), "predicted": sum(self.predicted),
                                  "mean_absolute_error": self.count_error,
                                  "mean_relative_error": self.relative_count_error}),
                "per_image": [{"name": name, "true": true, "predicted": predicted, "merging": merging,
                               "divided": divided, "tp": counts.tp, "fp": counts.fp, "fn": counts.fn,
                               **_plain(counts.metrics())}
                              for name, true, predicted, merging, divided, counts
                              in zip(self.names, self.true, self.predicted, self.merging, self.divided,
                                     self.counts[first])]}


# The other names among OBJECT_METRICS -> those of MatchCounts.
_AT_ONE_HALF = {"object_accuracy": "accuracy", "object_f1": "f1", "object_pq": "panoptic_quality"}


def _means(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    rows = list(rows)
    means = {}
    for name in MatchCounts().metrics():
        values = [row[name] for row in rows if not np.isnan(row[name])]
        means[name] = float(np.mean(values)) if values else float("nan")
    return means


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def _shown(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4f}"
