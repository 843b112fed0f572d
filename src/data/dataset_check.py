"""Inspects a data set before training: faults that would spoil the training, and facts that a user should know."""
import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from src.data.border_weights import split_weights
from src.data.samples import TrainingSamples, ValidationSamples
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import write_atomically

logger = logging.getLogger("unet")

QUICK_SECONDS = 10      # for the check before a training, which inspects samples at regular intervals
MOST_ROWS = 10          # classes with a row of their own


@dataclass
class SplitSummary:
    """Findings in the training samples or in the validation samples.

    Attributes:
        samples: number of samples.
        pixels: (classes,) pixels of each class.
        seen: names of the samples that were inspected.
        sizes, kinds: how often each (width, height), and each way to store an image, was found.
        without_foreground: names of masks that only have background.
        one_class: names of masks that only have one class, which is not the background.
        soft: names of masks that hold more than two values although two classes are expected.
        hashes: content hash of an image -> names.
        faults: messages about samples that cannot be trained on.
    """
    samples: int
    pixels: np.ndarray
    seen: list[str] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    without_foreground: list[str] = field(default_factory=list)
    one_class: list[str] = field(default_factory=list)
    soft: list[str] = field(default_factory=list)
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
                "kinds": dict(self.kinds), "pixels_per_class": self.pixels.tolist(),
                "foreground_fraction": self.foreground, "masks_without_foreground": self.without_foreground,
                "masks_of_one_class": self.one_class, "masks_of_many_values": self.soft, "same_images": self.doubles,
                "faults": self.faults}


def check_dataset(train: TrainingSamples, validation: ValidationSamples, path: Path, quick: bool = False) -> None:
    """Inspect the samples in their files' own sizes, log a table, and save the findings as JSON.

    Args:
        train (TrainingSamples), validation (ValidationSamples): samples to inspect.
        path (Path): the JSON file.
        quick (bool): inspect as many samples as a few seconds allow, evenly spread.

    Raises:
        UNetError: samples that cannot be read or that hold other classes, or training masks that together hold only
            one class. All of them are logged; the message names the first.
    """
    started = time.perf_counter()
    seconds = QUICK_SECONDS / 2 if quick else None
    summaries = {"training": inspect(train, seconds), "validation": inspect(validation, seconds)}
    leaks = [[*summaries["training"].hashes[key], *names] for key, names in summaries["validation"].hashes.items()
             if key in summaries["training"].hashes]
    for line in table(summaries, leaks):
        logger.info("  %s", line)
    warnings, faults = _warnings(summaries, leaks), _faults(summaries)
    for line in warnings:
        logger.warning("WARNING: %s", line)
    write_atomically(path, json.dumps({**{name: summary.as_dict() for name, summary in summaries.items()},
                                       "same_images_in_both": leaks, "warnings": warnings, "faults": faults},
                                      indent=1).encode())
    logger.info("data set checked in %.1f s: %s", time.perf_counter() - started, path)
    if len(faults) > 1:
        for line in faults:
            logger.error("ERROR: %s", line)
    if faults:
        raise UNetError(faults[0] + (f" ({len(faults)} faults in all, listed above)" if len(faults) > 1 else ""))


def inspect(samples: TrainingSamples | ValidationSamples, seconds: float | None) -> SplitSummary:
    """Inspect all samples, or with ``seconds`` as many as they allow, evenly spread."""
    summary = SplitSummary(len(samples.indices), np.zeros(samples.num_classes, np.int64))
    ends = float("inf") if seconds is None else time.perf_counter() + seconds
    for index in samples.indices if seconds is None else _spread(samples.indices):
        if summary.seen and time.perf_counter() > ends:
            break
        name = samples.reader.name(index)
        try:
            image, classes = samples.reader[index]
            # The reader has checked class numbers, but it cuts masks of two classes, whatever values they have.
            values = samples.reader.mask_values(index) if samples.num_classes == 2 else ()
        except UNetError as error:
            summary.faults.append(str(error))
            continue
        finally:
            summary.seen.append(name)
        classes, _ = split_weights(classes)
        counts = np.bincount(classes.ravel(), minlength=samples.num_classes)
        summary.pixels += counts
        summary.sizes[image.shape[1], image.shape[0]] += 1
        summary.kinds[samples.reader.kind(index)] += 1
        if counts[0] == counts.sum():
            summary.without_foreground.append(name)
        elif counts.max() == counts.sum():
            summary.one_class.append(name)
        if len(values) > 2:
            summary.soft.append(name)
        key = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).hexdigest()
        summary.hashes.setdefault(key, []).append(name)
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
        faults.append(f"all {train.samples} training masks hold only class {int(train.pixels.argmax())}; there is "
                      f"nothing to learn from them")
    return faults


def _warnings(summaries: dict[str, SplitSummary], leaks: list[list[str]]) -> list[str]:
    lines = []
    for name, summary in summaries.items():
        for found, words in ((summary.without_foreground, "masks have only background"),
                             (summary.one_class, "masks have only one class, which is not the background"),
                             (summary.soft, "masks have more than two values, which are cut at half of their maximum")):
            if found:
                lines.append(f"{name}: {len(found)} of {len(summary.seen)} {words}: {first_few(found)}")
        if summary.doubles:
            lines.append(f"{name}: {len(summary.doubles)} images occur more than once: "
                         f"{first_few([' = '.join(names) for names in summary.doubles])}")
    if leaks:
        lines.append(f"{len(leaks)} images both train and validate, which makes the score too good: "
                     f"{first_few([' = '.join(names) for names in leaks])}")
    train = summaries["training"]
    absent = [number for number, count in enumerate(train.pixels) if not count]
    if absent and len(train.seen) == train.samples:
        numbers = first_few([str(number) for number in absent], 10)
        lines.append(f"training: no pixel of {len(absent)} classes: {numbers}")
    return lines


def table(summaries: dict[str, SplitSummary], leaks: list[list[str]]) -> list[str]:
    """Return the lines of the table: a row for each fact, a column for training and one for validation."""
    rows: list[tuple[str, Callable[[SplitSummary], str]]] = [
        ("samples", lambda summary: str(summary.samples)), ("inspected", lambda summary: str(len(summary.seen))),
        ("sizes", lambda summary: _counts({f"{w}x{h}": count for (w, h), count in summary.sizes.items()})),
        ("stored as", lambda summary: _counts(summary.kinds)),
        ("foreground", lambda summary: f"{summary.foreground:.1%}")]
    classes = len(summaries["training"].pixels)
    if classes <= MOST_ROWS:
        rows += [(f"class {number}", partial(_share, number=number)) for number in range(classes)]
    else:
        rows.append(("classes with pixels", lambda summary: f"{np.count_nonzero(summary.pixels)} of {classes}"))
    rows += [("without foreground", lambda summary: str(len(summary.without_foreground))),
             ("of one other class", lambda summary: str(len(summary.one_class))),
             ("twice or more", lambda summary: str(len(summary.doubles))),
             ("in both parts", lambda summary: str(len(leaks))),
             ("unusable", lambda summary: str(len(summary.faults)))]
    cells = [["", *summaries], *([title, *(value(summary) for summary in summaries.values())] for title, value in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def _share(summary: SplitSummary, number: int) -> str:
    return f"{summary.share(number):.1%}"


def _counts(counter: Mapping[str, int], most: int = 3) -> str:
    """Name the most frequent items: "256x256 (334), 320x256 (112), 7 others (224)"."""
    common = Counter(counter).most_common()
    shown = [f"{name} ({count})" for name, count in common[:most]]
    if len(common) > most:
        shown.append(f"{len(common) - most} others ({sum(count for _, count in common[most:])})")
    return ", ".join(shown) or "-"
