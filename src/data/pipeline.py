"""The MindSpore pipelines over the samples: sampling, sharding, batching."""
import os
from collections.abc import Iterator
from itertools import chain, islice, repeat
from math import ceil
from typing import Any

import mindspore.dataset as ds
import numpy as np

from src.data.samples import TrainingSamples, ValidationSamples
from src.data.schedule import Schedule
from src.data.transforms import one_hot

COLUMNS = ["image", "mask"]
# Batches that are prepared in advance. MindSpore's default of 16 takes more than 1 GB at 572x572 and batch size 16.
PREFETCH = 2
# MindSpore asks for all positions of a pass through its pipeline before it reads the first one. So a long run goes
# through the pipeline many times.
MOST_STEPS_OF_A_PASS = 1000
# Passes that are set aside for one iterator over a pipeline, far more than a run has. The next iterator takes those
# after them, so it does not matter how far MindSpore has read ahead for the one before.
PASSES_OF_AN_ITERATOR = 2**20


class _Counter:
    """Counts from 0. A deep copy is the same counter: MindSpore copies a whole pipeline for each iterator."""

    def __init__(self) -> None:
        self.count = 0

    def take(self) -> int:
        """Return the next number."""
        self.count += 1
        return self.count - 1

    def __deepcopy__(self, memo: dict) -> "_Counter":
        return self


class PositionSampler(ds.Sampler):
    """Yields the positions of ``steps`` steps, in each further pass those of the next ones, in an iterator others."""

    def __init__(self, schedule: Schedule, rank: int, first_step: int, steps: int):
        super().__init__(steps * schedule.batch_size)
        self.schedule, self.rank = schedule, rank
        self.first_step, self.steps = first_step, steps
        self.iterators = _Counter()
        self.next_step: int | None = None

    def __iter__(self) -> Iterator[int]:
        if self.next_step is None:      # the first pass of this copy, and so of an iterator
            self.next_step = self.first_step + self.iterators.take() * PASSES_OF_AN_ITERATOR * self.steps
        first, self.next_step = self.next_step, self.next_step + self.steps
        for step in range(first, first + self.steps):
            yield from self.schedule.positions(step, self.rank)


def training_pipeline(samples: TrainingSamples, schedule: Schedule, steps: int, rank: int = 0, first_step: int = 0,
                      num_parallel_workers: int = 1) -> ds.Dataset:
    """Make the pipeline of a run from ``first_step`` on.

    Args:
        samples (TrainingSamples): source.
        schedule (Schedule): which positions make a step.
        steps (int): steps of one pass through the pipeline; the next pass has the next steps, and a further iterator
            others.
        rank (int): number of this process among ``schedule.group_size``.
        first_step (int): step to begin with; earlier samples are not read.
        num_parallel_workers (int): processes that prepare samples; 1 uses a thread of this process.

    Returns:
        Dataset of (N, C, H, W) float32 images in the input range and (N, num_classes, h, w) float32 one-hot labels,
        with one more channel for ``border_w0`` (see TrainingSamples).
    """
    ds.config.set_prefetch_size(PREFETCH)
    num_parallel_workers = min(num_parallel_workers, os.cpu_count() or 1)     # MindSpore accepts no more
    source = ds.GeneratorDataset(samples, COLUMNS, sampler=PositionSampler(schedule, rank, first_step, steps),
                                 num_parallel_workers=num_parallel_workers,
                                 python_multiprocessing=num_parallel_workers > 1)
    return source.batch(schedule.batch_size, drop_remainder=True)


def training_batches(samples: TrainingSamples, schedule: Schedule, rank: int = 0, first_step: int = 0,
                     num_parallel_workers: int = 1) -> Iterator[tuple[Any, Any]]:
    """Iterate over the (images, labels) of all steps from ``first_step`` on; see ``training_pipeline``."""
    left = schedule.total_steps - first_step
    passes = ceil(left / MOST_STEPS_OF_A_PASS)
    pipeline = training_pipeline(samples, schedule, ceil(left / passes), rank, first_step, num_parallel_workers)
    iterator = pipeline.create_tuple_iterator(num_epochs=passes)
    # All passes have the same number of steps, so the last one may go beyond the end of the run.
    return islice(chain.from_iterable(repeat(iterator, passes)), left)


class _OneHotLabels:
    """Validation samples with one-hot labels, as a source of rows."""

    def __init__(self, samples: ValidationSamples):
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image, classes = self.samples[index]
        return image, np.ascontiguousarray(one_hot(classes, self.samples.num_classes))


def validation_pipeline(samples: ValidationSamples, batch_size: int = 1) -> ds.Dataset:
    """Make batches of validation samples in order, with one-hot labels; the last batch may be smaller."""
    ds.config.set_prefetch_size(PREFETCH)
    source = ds.GeneratorDataset(_OneHotLabels(samples), COLUMNS, shuffle=False)
    return source.batch(batch_size, drop_remainder=False)
