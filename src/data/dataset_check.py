"""Inspects a data set before training: faults that would spoil the training, and facts that a user should know."""
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from src.data.intensities import Intensities, differing_ranges
from src.data.samples import TrainingSamples, ValidationSamples
from src.data.transforms import count_classes
from src.model_utils.config import Config
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import json_bytes, write_atomically

logger = logging.getLogger("unet")

QUICK_SECONDS = 10      # for the check before a training, which inspects samples at regular intervals
MOST_ROWS = 10          # classes with a row of their own
MOST_FAULTS = 10        # that are logged
LISTS_ALL = "preprocess_dataset.py --check=True"


@dataclass
class SplitSummary:
    """Findings in the training samples or in the validation samples.

    Attributes:
        samples: number of samples.
        pixels: (classes,) pixels of each class.
        names: names of the classes.
        masks_hold: how the masks are read.
        intensities: what numbers the images hold.
        ignored: number of pixels that do not count.
        seen: names of the samples that were inspected.
        sizes, kinds: how often each (width, height), and each way to store an image, was found.
        only_ignored: names of masks that only have ignored pixels.
        without_foreground: names of masks that only have background.
        one_class: names of masks that only have one class, which is not the background.
        hashes: content hash of an image -> names.
        faults: messages about samples that cannot be trained on.
    """
    samples: int
    pixels: np.ndarray
    names: list[str]
    masks_hold: str
    intensities: Intensities
    ignored: int = 0
    seen: list[str] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    only_ignored: list[str] = field(default_factory=list)
    without_foreground: list[str] = field(default_factory=list)
    one_class: list[str] = field(default_factory=list)
    hashes: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def foreground(self) -> float:
        """Fraction of the pixels that are not of class 0."""
        return 1 - self.share(0) if self.pixels.sum() else 0.0

    def share(self, number: int) -> float:
        """Return the fraction of the pixels that are of class ``number``."""
        return float(self.pixels[number] / max(1, self.pixels.sum()))

    @property
    def doubles(self) -> list[list[str]]:
        """Groups of names whose images are the same."""
        return [names for names in self.hashes.values() if len(names) > 1]

    def as_dict(self) -> dict:
        """Return plain values for JSON."""
        return {"samples": self.samples, "seen": len(self.seen),
                "sizes": {f"{w}x{h}": count for (w, h), count in self.sizes.most_common()},
                "kinds": dict(self.kinds), "masks_hold": self.masks_hold, "classes": self.names,
                "pixels_per_class": self.pixels.tolist(), "ignored_pixels": self.ignored,
                "foreground_fraction": self.foreground, "masks_without_foreground": self.without_foreground,
                "masks_of_one_class": self.one_class, "masks_of_ignored_pixels": self.only_ignored,
                "same_images": self.doubles,
                "intensities": self.intensities.as_dict(), "faults": self.faults}


@dataclass(frozen=True)
class Findings:
    """What was found in the training and in the validation samples.

    Attributes:
        summaries: "training" and "validation" -> findings.
        leaks: groups of names of the same image, some in training and some in validation.
        seconds: how long it took.
    """
    summaries: dict[str, SplitSummary]
    leaks: list[list[str]]
    seconds: float

    @property
    def faults(self) -> list[str]:
        """Messages about samples that cannot be trained on, and about training masks that hold only one class."""
        return _faults(self.summaries)

    @cached_property
    def warnings(self) -> list[str]:
        """Messages about what a user should know."""
        return _warnings(self.summaries, self.leaks)

    def save(self, path: Path) -> None:
        """Write all of it as JSON."""
        write_atomically(path, json_bytes({
            **{name: summary.as_dict() for name, summary in self.summaries.items()}, "same_images_in_both": self.leaks,
            "differing_ranges": _differing(self.summaries), "warnings": self.warnings,
            "faults": self.faults}))
        logger.info("data set checked in %.1f s: %s", self.seconds, path)


def raise_faults(faults: list[str], where: str) -> None:
    """Raise UNetError with the first of ``faults``, if there are any; log the first of several ones.

    Args:
        faults (list[str]): messages.
        where (str): what lists all of them.
    """
    if len(faults) > 1:
        for line in faults[:MOST_FAULTS]:
            logger.error("ERROR: %s", line)
        if len(faults) > MOST_FAULTS:
            logger.error("ERROR: and %d more; %s lists all", len(faults) - MOST_FAULTS, where)
    if faults:
        raise UNetError(faults[0] + (f" ({len(faults)} faults in all, listed above)" if len(faults) > 1 else ""))


def find_faults(train: TrainingSamples, validation: ValidationSamples, names: list[str],
                quick: bool = False) -> Findings:
    """Inspect the samples in their files' own sizes, and log a table and the warnings.

    Args:
        train (TrainingSamples), validation (ValidationSamples): samples to inspect.
        names (list[str]): names of the classes.
        quick (bool): inspect as many samples as a few seconds allow, evenly spread.
    """
    started = time.perf_counter()
    seconds = QUICK_SECONDS / 2 if quick else None
    summaries = {part: inspect(samples, names, seconds)
                 for part, samples in (("training", train.as_validation()), ("validation", validation))}
    leaks = [[*summaries["training"].hashes[key], *same] for key, same in summaries["validation"].hashes.items()
             if key in summaries["training"].hashes]
    for line in table(summaries, leaks):
        logger.info("  %s", line)
    findings = Findings(summaries, leaks, time.perf_counter() - started)
    for line in findings.warnings:
        logger.warning("WARNING: %s", line)
    return findings


def check_not_empty(train: TrainingSamples, validation: ValidationSamples, config: Config) -> None:
    """Raise UNetError if there is no training sample; the message says which option is the cause."""
    if len(train) == 0:
        cause = f"splits ({config.splits}) names none" if config.splits else f"split {config.split} rounds down to none"
        raise UNetError(f"no image to train on: the data set has {len(validation)}, and {cause}; add images, or name "
                        f"those that train and validate in a splits.json (--splits)")


def inspect(samples: ValidationSamples, names: list[str], seconds: float | None) -> SplitSummary:
    """Inspect all samples, or with ``seconds`` as many as they allow, evenly spread; ``names`` are the classes'."""
    summary = SplitSummary(len(samples.indices), np.zeros(samples.num_classes, np.int64), names,
                           samples.reader.masks_hold(), Intensities(samples.transform.normalization.percentiles))
    ends = float("inf") if seconds is None else time.perf_counter() + seconds
    for index in samples.indices if seconds is None else _spread(samples.indices):
        if summary.seen and time.perf_counter() > ends:
            break
        name = samples.reader.name(index)
        try:
            stored, classes = samples.reader.checked(index)
        except UNetError as error:
            summary.faults.append(str(error))
            continue
        finally:
            summary.seen.append(name)
        counts = count_classes(classes, samples.num_classes)
        summary.pixels += counts
        summary.ignored += int(classes.size - counts.sum())
        summary.sizes[classes.shape[1], classes.shape[0]] += 1
        summary.kinds[samples.reader.kind(index)] += 1
        if not counts.any():
            summary.only_ignored.append(name)
        elif counts[0] == counts.sum():
            summary.without_foreground.append(name)
        elif counts.max() == counts.sum():
            summary.one_class.append(name)
        summary.intensities.add(stored, name)
        digest = hashlib.blake2b(repr((stored.pixels.shape, stored.pixels.dtype.str)).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(stored.pixels).data)
        summary.hashes.setdefault(digest.hexdigest(), []).append(name)
    return summary


def _spread(indices: Iterable[int]) -> Iterator[int]:
    """Yield all of ``indices``, so that at any time those already yielded are evenly spread."""
    indices = list(indices)
    step = 1 << max(0, len(indices) - 1).bit_length()
    done: set[int] = set()
    while step:
        for position in range(0, len(indices), step):
            if position not in done:
                done.add(position)
                yield indices[position]
        step //= 2


def _faults(summaries: dict[str, SplitSummary]) -> list[str]:
    faults = [fault for summary in summaries.values() for fault in summary.faults]
    train = summaries["training"]
    if train.samples and not train.faults and np.count_nonzero(train.pixels) < 2 and len(train.seen) == train.samples:
        only = f"class {int(train.pixels.argmax())}" if train.pixels.any() else "ignored pixels"
        faults.append(f"all {train.samples} training masks hold only {only}; there is nothing to learn from them")
    return faults


def _differing(summaries: dict[str, SplitSummary]) -> list[str]:
    return differing_ranges(*(summary.intensities for summary in summaries.values()))


def _warnings(summaries: dict[str, SplitSummary], leaks: list[list[str]]) -> list[str]:
    lines = []
    for name, summary in summaries.items():
        for found, words in ((summary.only_ignored, "masks have only ignored pixels"),
                             (summary.without_foreground, "masks have only background"),
                             (summary.one_class, "masks have only one class, which is not the background")):
            if found:
                lines.append(f"{name}: {len(found)} of {len(summary.seen)} {words}: {first_few(found)}")
        if summary.doubles:
            lines.append(f"{name}: {len(summary.doubles)} images occur more than once: "
                         f"{first_few([' = '.join(names) for names in summary.doubles])}")
        lines += summary.intensities.warnings(name)
    lines += _differing(summaries)
    if leaks:
        lines.append(f"{len(leaks)} images both train and validate, which makes the score too good: "
                     f"{first_few([' = '.join(names) for names in leaks])}")
    train = summaries["training"]
    absent = [number for number, count in enumerate(train.pixels) if not count]
    if absent and train.pixels.any() and len(train.seen) == train.samples:
        lines.append(f"training: no pixel of {len(absent)} classes: {first_few([train.names[n] for n in absent], 10)}")
    return lines


def table(summaries: dict[str, SplitSummary], leaks: list[list[str]]) -> list[str]:
    """Return the lines of the table: a row for each fact, a column for training and one for validation."""
    rows: list[tuple[str, Callable[[SplitSummary], str]]] = [
        ("samples", lambda summary: str(summary.samples)), ("inspected", lambda summary: str(len(summary.seen))),
        ("sizes", lambda summary: _counts({f"{w}x{h}": count for (w, h), count in summary.sizes.items()})),
        ("stored as", lambda summary: _counts(summary.kinds)),
        *_intensity_rows(summaries),
        ("masks hold", lambda summary: summary.masks_hold),
        ("foreground", lambda summary: f"{summary.foreground:.1%}")]
    names = summaries["training"].names
    if len(names) <= MOST_ROWS:
        rows += [(name, partial(_share, number=number)) for number, name in enumerate(names)]
    else:
        rows.append(("classes with pixels", lambda summary: f"{np.count_nonzero(summary.pixels)} of {len(names)}"))
    if any(summary.ignored for summary in summaries.values()):
        rows.append(("ignored", lambda summary: f"{summary.ignored / (summary.ignored + summary.pixels.sum()):.1%}"))
    rows += [("without foreground", lambda summary: str(len(summary.without_foreground))),
             ("of one other class", lambda summary: str(len(summary.one_class))),
             ("twice or more", lambda summary: str(len(summary.doubles))),
             ("in both parts", lambda summary: str(len(leaks))),
             ("unusable", lambda summary: str(len(summary.faults)))]
    cells = [["", *summaries], *([title, *(value(summary) for summary in summaries.values())] for title, value in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def _intensity_rows(summaries: dict[str, SplitSummary]) -> list[tuple[str, Callable[[SplitSummary], str]]]:
    """Return a row for each channel; the channels after MOST_ROWS have none."""
    count = max(summary.intensities.channels for summary in summaries.values())
    titles = ["numbers"] if count == 1 else [f"channel {channel}" for channel in range(min(count, MOST_ROWS))]
    return [(title, partial(_numbers, channel=channel)) for channel, title in enumerate(titles)]


def _numbers(summary: SplitSummary, channel: int) -> str:
    return summary.intensities.text(channel)


def _share(summary: SplitSummary, number: int) -> str:
    return f"{summary.share(number):.1%}"


def _counts(counter: Mapping[str, int], most: int = 3) -> str:
    """Name the most frequent items: "256x256 (334), 320x256 (112), 7 others (224)"."""
    common = Counter(counter).most_common()
    shown = [f"{name} ({count})" for name, count in common[:most]]
    if len(common) > most:
        shown.append(f"{len(common) - most} others ({sum(count for _, count in common[most:])})")
    return ", ".join(shown) or "-"
