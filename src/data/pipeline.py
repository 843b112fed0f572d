"""The MindSpore pipelines over the samples: sampling, sharding, batching."""
import os

import mindspore.dataset as ds
import numpy as np

from src.data.transforms import one_hot

COLUMNS = ["image", "mask"]
# Batches kept ready; MindSpore's own 16 would hold more than 1 GB of 572x572 batches of 16.
PREFETCH = 2


class PositionSampler(ds.Sampler):
    """Hands out the positions of ``steps`` steps, and at each further epoch those of the next ``steps``."""

    def __init__(self, schedule, rank, first_step, steps):
        super().__init__(steps * schedule.batch_size)
        self.schedule, self.rank = schedule, rank
        self.next_step, self.steps = first_step, steps

    def __iter__(self):
        first, self.next_step = self.next_step, self.next_step + self.steps
        for step in range(first, first + self.steps):
            yield from self.schedule.positions(step, self.rank)


def training_pipeline(samples, schedule, rank=0, first_step=0, steps=None, num_parallel_workers=1):
    """Batches of a run from ``first_step`` on.

    Args:
        samples (TrainingSamples): source.
        schedule (Schedule): which positions make a step.
        rank (int): this process among ``schedule.group_size``.
        first_step (int): step to begin with; earlier samples are not touched.
        steps (int): steps of one pass through the pipeline; up to the end of the run when None.
        num_parallel_workers (int): processes that prepare samples; 1 is a thread of this process.

    Returns:
        Dataset of (N, C, H, W) float32 images in the input range and (N, num_classes, h, w) float32 one-hot labels,
        with ``border_w0`` a channel more (see TrainingSamples).
    """
    steps = schedule.total_steps - first_step if steps is None else steps
    ds.config.set_prefetch_size(PREFETCH)
    num_parallel_workers = min(num_parallel_workers, os.cpu_count())     # MindSpore takes no more
    source = ds.GeneratorDataset(samples, COLUMNS, sampler=PositionSampler(schedule, rank, first_step, steps),
                                 num_parallel_workers=num_parallel_workers,
                                 python_multiprocessing=num_parallel_workers > 1)
    return source.batch(schedule.batch_size, drop_remainder=True)


class _OneHotLabels:
    """Validation samples with one-hot labels, as a row source."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        image, classes = self.samples[index]
        return image, np.ascontiguousarray(one_hot(classes, self.samples.num_classes))


def validation_pipeline(samples, batch_size=1):
    """Validation samples in order, with one-hot labels; the last batch may be smaller."""
    ds.config.set_prefetch_size(PREFETCH)
    source = ds.GeneratorDataset(_OneHotLabels(samples), COLUMNS, shuffle=False)
    return source.batch(batch_size, drop_remainder=False)
