"""The MindSpore pipelines over the samples: sampling, sharding, batching."""
import os
from collections.abc import Iterator

import mindspore.dataset as ds
import numpy as np

from src.data.samples import TrainingSamples, ValidationSamples
from src.data.schedule import Schedule
from src.data.transforms import one_hot

COLUMNS = ["image", "mask"]
# Batches that are prepared in advance. MindSpore's default of 16 takes more than 1 GB at 572x572 and batch size 16.
PREFETCH = 2


class PositionSampler(ds.Sampler):
    """Yields the positions of ``steps`` steps, and in each further epoch those of the next ``steps``."""

    def __init__(self, schedule: Schedule, rank: int, first_step: int, steps: int):
        super().__init__(steps * schedule.batch_size)
        self.schedule, self.rank = schedule, rank
        self.next_step, self.steps = first_step, steps

    def __iter__(self) -> Iterator[int]:
        first, self.next_step = self.next_step, self.next_step + self.steps
        for step in range(first, first + self.steps):
            yield from self.schedule.positions(step, self.rank)


def training_pipeline(samples: TrainingSamples, schedule: Schedule, rank: int = 0, first_step: int = 0,
                      steps: int | None = None, num_parallel_workers: int = 1) -> ds.Dataset:
    """Make the batches of a run from ``first_step`` on.

    Args:
        samples (TrainingSamples): source.
        schedule (Schedule): which positions make a step.
        rank (int): number of this process among ``schedule.group_size``.
        first_step (int): step to begin with; earlier samples are not read.
        steps (int): steps of one pass through the pipeline; None for all steps up to the end of the run.
        num_parallel_workers (int): processes that prepare samples; 1 uses a thread of this process.

    Returns:
        Dataset of (N, C, H, W) float32 images in the input range and (N, num_classes, h, w) float32 one-hot labels,
        with one more channel for ``border_w0`` (see TrainingSamples).
    """
    steps = schedule.total_steps - first_step if steps is None else steps
    ds.config.set_prefetch_size(PREFETCH)
    num_parallel_workers = min(num_parallel_workers, os.cpu_count() or 1)     # MindSpore accepts no more
    source = ds.GeneratorDataset(samples, COLUMNS, sampler=PositionSampler(schedule, rank, first_step, steps),
                                 num_parallel_workers=num_parallel_workers,
                                 python_multiprocessing=num_parallel_workers > 1)
    return source.batch(schedule.batch_size, drop_remainder=True)


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
