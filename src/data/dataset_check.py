"""Looks at a data set before it is trained on: what would spoil the training, and what should be known of it."""
import hashlib
import json
import logging
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from src.data.border_weights import unpack
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import write_atomically

logger = logging.getLogger("unet")

QUICK_SECONDS = 10      # what the check before a training may take; then it goes on with every so many-th sample
MOST_ROWS = 10          # classes that are listed one by one


@dataclass
class Part:
    """What was found in the training or in the validation samples.

    Attributes:
        samples: how many there are.
        seen: names of those that were looked at.
        sizes, kinds: Counters of (width, height), and of how the images are stored.
        pixels: (classes,) pixels of each class.
        without_foreground, one_class, soft: names of masks that are background alone, one other class alone, and that
            hold more than two values where two classes are expected.
        hashes: content hash of an image -> names.
        faults: messages on samples that cannot be trained on.
    """
    samples: int
    pixels: np.ndarray
    seen: list = field(default_factory=list)
    sizes: Counter = field(default_factory=Counter)
    kinds: Counter = field(default_factory=Counter)
    without_foreground: list = field(default_factory=list)
    one_class: list = field(default_factory=list)
    soft: list = field(default_factory=list)
    hashes: dict = field(default_factory=dict)
    faults: list = field(default_factory=list)

    @property
    def foreground(self):
        """Fraction of the pixels that are not of class 0."""
        return 1 - self.share(0) if self.pixels.sum() else 0.0

    def share(self, number):
        """Fraction of the pixels that are of class ``number``."""
        return float(self.pixels[number] / max(1, self.pixels.sum()))

    @property
    def doubles(self):
        """Groups of names whose images are the same."""
        return [names for names in self.hashes.values() if len(names) > 1]

    def as_dict(self):
        """Plain values for JSON."""
        return {"samples": self.samples, "seen": len(self.seen),
                "sizes": {f"{w}x{h}": count for (w, h), count in self.sizes.most_common()},
                "kinds": dict(self.kinds), "pixels_per_class": self.pixels.tolist(),
                "foreground_fraction": self.foreground, "masks_without_foreground": self.without_foreground,
                "masks_of_one_class": self.one_class, "masks_of_many_values": self.soft, "same_images": self.doubles,
                "faults": self.faults}


def check_dataset(train, validation, path, quick=False):
    """Look at the samples, print a table, and save it as JSON.

    Args:
        train (TrainingSamples), validation (ValidationSamples): what to look at, in their files' own sizes.
        path (Path): the JSON file.
        quick (bool): look at as many as a few seconds allow, evenly spread.

    Raises:
        UNetError: samples that cannot be read, that hold other classes, or no class but one in all training masks;
            all of them are logged, the first is named.
    """
    started = time.perf_counter()
    seconds = QUICK_SECONDS / 2 if quick else None
    parts = {"training": look(train, seconds), "validation": look(validation, seconds)}
    leaks = [[*parts["training"].hashes[key], *names] for key, names in parts["validation"].hashes.items()
             if key in parts["training"].hashes]
    for line in table(parts, leaks):
        logger.info("  %s", line)
    warnings, faults = _warnings(parts, leaks), _faults(parts)
    for line in warnings:
        logger.warning("WARNING: %s", line)
    write_atomically(path, json.dumps({**{name: part.as_dict() for name, part in parts.items()},
                                       "same_images_in_both": leaks, "warnings": warnings, "faults": faults},
                                      indent=1).encode())
    logger.info("data set looked at in %.1f s: %s", time.perf_counter() - started, path)
    if len(faults) > 1:
        for line in faults:
            logger.error("ERROR: %s", line)
    if faults:
        raise UNetError(faults[0] + (f" ({len(faults)} faults in all, listed above)" if len(faults) > 1 else ""))


def look(samples, seconds):
    """Go through the samples; with ``seconds`` through as many as they allow, evenly spread.

    Returns:
        Part.
    """
    part = Part(len(samples.indices), np.zeros(samples.num_classes, np.int64))
    ends = float("inf") if seconds is None else time.perf_counter() + seconds
    for index in samples.indices if seconds is None else _spread(samples.indices):
        if part.seen and time.perf_counter() > ends:
            break
        name = samples.reader.name(index)
        try:
            image, classes = samples.reader[index]
            # Where labels are class numbers the reader checks them; cut ones show how many values there were.
            levels = samples.reader.levels(index) if samples.num_classes == 2 else ()
        except UNetError as error:
            part.faults.append(str(error))
            continue
        finally:
            part.seen.append(name)
        classes, _ = unpack(classes)
        counts = np.bincount(classes.ravel(), minlength=samples.num_classes)
        part.pixels += counts
        part.sizes[image.shape[1], image.shape[0]] += 1
        part.kinds[samples.reader.kind(index)] += 1
        if counts[0] == counts.sum():
            part.without_foreground.append(name)
        elif counts.max() == counts.sum():
            part.one_class.append(name)
        if len(levels) > 2:
            part.soft.append(name)
        key = hashlib.blake2b(np.ascontiguousarray(image), digest_size=16).hexdigest()
        part.hashes.setdefault(key, []).append(name)
    return part


def _spread(indices):
    """All of ``indices``, in an order whose every beginning is spread evenly over them."""
    indices = list(indices)
    step = 1 << max(0, len(indices) - 1).bit_length()
    done = set()
    while step:
        for position in range(0, len(indices), step):
            if position not in done:
                done.add(position)
                yield indices[position]
        step //= 2


def _faults(parts):
    faults = [fault for part in parts.values() for fault in part.faults]
    train = parts["training"]
    if train.samples and not train.faults and np.count_nonzero(train.pixels) < 2 and len(train.seen) == train.samples:
        faults.append(f"all {train.samples} training masks hold class {int(train.pixels.argmax())} alone; there is "
                      f"nothing to learn from them")
    return faults


def _warnings(parts, leaks):
    lines = []
    for name, part in parts.items():
        for found, words in ((part.without_foreground, "masks without a foreground"),
                             (part.one_class, "masks of one class other than the background alone"),
                             (part.soft, "masks of more than two values, which are cut at half of their maximum")):
            if found:
                lines.append(f"{name}: {len(found)} of {len(part.seen)} {words}: {first_few(found)}")
        if part.doubles:
            lines.append(f"{name}: {len(part.doubles)} images are there more than once: "
                         f"{first_few([' = '.join(names) for names in part.doubles])}")
    if leaks:
        lines.append(f"{len(leaks)} images train and validate, so that the score is too good: "
                     f"{first_few([' = '.join(names) for names in leaks])}")
    train = parts["training"]
    absent = [number for number, count in enumerate(train.pixels) if not count]
    if absent and len(train.seen) == train.samples:
        numbers = first_few([str(number) for number in absent], 10)
        lines.append(f"training: no pixel of {len(absent)} classes: {numbers}")
    return lines


def table(parts, leaks):
    """Lines of the table: a row a fact, a column a part."""
    rows = [("samples", lambda part: str(part.samples)), ("looked at", lambda part: str(len(part.seen))),
            ("sizes", lambda part: _counts({f"{w}x{h}": count for (w, h), count in part.sizes.items()})),
            ("stored as", lambda part: _counts(part.kinds)),
            ("foreground", lambda part: f"{part.foreground:.1%}")]
    classes = len(parts["training"].pixels)
    if classes <= MOST_ROWS:
        rows += [(f"class {number}", lambda part, number=number: f"{part.share(number):.1%}")
                 for number in range(classes)]
    else:
        rows.append(("classes with pixels", lambda part: f"{np.count_nonzero(part.pixels)} of {classes}"))
    rows += [("without foreground", lambda part: str(len(part.without_foreground))),
             ("of one other class", lambda part: str(len(part.one_class))),
             ("twice or more", lambda part: str(len(part.doubles))), ("in both parts", lambda part: str(len(leaks))),
             ("unusable", lambda part: str(len(part.faults)))]
    cells = [["", *parts], *([title, *(value(part) for part in parts.values())] for title, value in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def _counts(counter, most=3):
    """The most frequent of a Counter: "256x256 (334), 320x256 (112), 7 others (224)"."""
    common = Counter(counter).most_common()
    shown = [f"{name} ({count})" for name, count in common[:most]]
    if len(common) > most:
        shown.append(f"{len(common) - most} others ({sum(count for _, count in common[most:])})")
    return ", ".join(shown) or "-"
