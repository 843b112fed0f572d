"""A trial of a run: some steps and an evaluation, to know how long they take. Nothing of it is kept."""
import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Tensor

from src.data.pipeline import training_batches
from src.data.samples import TrainingSamples, ValidationSamples
from src.model_utils.config import Config
from src.training.callbacks.evaluation import Evaluator
from src.training.run_length import TRIAL_STEPS, Costs
from src.training.step import compile_step
from src.training.trainer import Trainer

FIRST_STEPS = 2         # which are slower, and do not count
LEAST_STEPS = 5
STEP_SHARE, EVALUATION_SHARE = 0.02, 0.03       # of the minutes
MOST_HEADERS = 200      # of validation images, to know how large all are


def try_out(trainer: Trainer, samples: TrainingSamples, config: Config) -> Costs:
    """Train and evaluate for a few seconds, on all ranks, by a Trainer that is used for nothing else.

    Args:
        trainer: of TRIAL_STEPS steps.
        samples: the training samples.
        config: uses minutes, num_parallel_workers and context_mode.

    Returns:
        Costs: the largest of all ranks.
    """
    began = time.monotonic()
    with trainer.ranks.reporting_failure():
        if config.context_mode == "graph":
            batch = trainer.schedule.batch_size
            compile_step(trainer.train_network, *(Tensor(np.zeros((batch, *shape), np.float32))
                                                  for shape in (samples.image_shape, samples.label_shape)))
    compiled = time.monotonic() - began
    workers, seconds = config.num_parallel_workers, 60 * STEP_SHARE * config.minutes

    def batches() -> Iterator[Any]:
        return training_batches(samples, trainer.schedule, trainer.ranks.rank, 0, workers)

    cold = time_steps(trainer, batches(), seconds, TRIAL_STEPS)
    # The same steps again, with images in memory. Worker processes would begin without any.
    warm = time_steps(trainer, batches(), math.inf, cold.count) if workers == 1 else cold
    first, step = with_memory(cold, warm, samples.share_in_memory(),
                              len(samples.indices) / trainer.schedule.batch_size)
    first_evaluation = evaluation = 0.0
    evaluator = next((one for one in trainer.callbacks if isinstance(one, Evaluator)), None)
    if evaluator:
        with trainer.ranks.reporting_failure():
            parts = [time_evaluation(evaluator, part, 60 * EVALUATION_SHARE * config.minutes)
                     for part in (evaluator.samples, evaluator.train_samples) if part]
        first_evaluation = max(first for first, _ in parts)     # both use the same graphs
        evaluation = sum(rest for _, rest in parts)
    found = (compiled + first, step, evaluation, first_evaluation)
    return Costs(*(float(trainer.ranks.values(value).max()) for value in found))


@dataclass(frozen=True)
class StepTimes:
    """Seconds of steps: by how much the first ones take longer, and the mean of the others; and the number of steps."""
    first: float
    each: float
    count: int


def with_memory(cold: StepTimes, warm: StepTimes, share: float, reading: float) -> tuple[float, float]:
    """Return what the first steps of a run take besides, and the time of a step once images are in memory.

    Args:
        cold, warm: steps whose images were read from their files, and the same steps again.
        share: share of the images that stay in memory.
        reading: images by those of a step: so many steps' worth of them is read from files in all.
    """
    saved = share * max(0.0, cold.each - warm.each)
    return cold.first + saved * max(0.0, reading - cold.count), cold.each - saved


def time_steps(trainer: Trainer, batches: Iterator[Any], seconds: float, most: int) -> StepTimes:
    """Measure steps for so many seconds, ``most`` of them at most."""
    ends = [time.monotonic()]
    while len(ends) <= most:
        trainer.try_step(batches)
        ends.append(time.monotonic())
        enough = len(ends) > LEAST_STEPS and ends[-1] - ends[FIRST_STEPS] > seconds
        if trainer.ranks.synchronize(stop=enough):
            break
    each = (ends[-1] - ends[FIRST_STEPS]) / (len(ends) - 1 - FIRST_STEPS)
    return StepTimes(max(0.0, ends[FIRST_STEPS] - ends[0] - FIRST_STEPS * each), each, len(ends) - 1)


def time_evaluation(evaluator: Evaluator, samples: ValidationSamples, seconds: float) -> tuple[float, float]:
    """Evaluate some of the samples twice; return what the first evaluation of all takes besides, and what each takes.

    The first pass compiles a graph for each size of image.

    Args:
        evaluator: scores the samples.
        samples: all that an evaluation has.
        seconds: after which no further sample is tried.
    """
    sizes = _sizes(samples)
    began, tried = time.monotonic(), []
    twice = [0.0, 0.0]
    for number in _one_of_each(sizes):
        if not (samples.own_classes(number) < samples.num_classes).any():
            continue        # only ignored pixels: an evaluation leaves it out
        one = ValidationSamples(samples.reader, [samples.indices[number]], samples.transform, samples.num_classes,
                                samples.keep_label_size)
        for turn in range(2):
            started = time.monotonic()
            evaluator.scores(one)
            twice[turn] += time.monotonic() - started
        tried.append(sizes[number])
        if time.monotonic() - began > seconds:
            break
    if not tried:
        return 0.0, 0.0
    pixels = sum(height * width for height, width in sizes.values()) / len(sizes) * len(samples)
    compiling = max(0.0, twice[0] - twice[1]) / len(set(tried)) * len(set(sizes.values()))
    return compiling, twice[1] / sum(height * width for height, width in tried) * pixels


def _sizes(samples: ValidationSamples) -> dict[int, tuple[int, int]]:
    """Return number -> (height, width) of what is predicted, for samples that are evenly spread."""
    numbers = np.unique(np.linspace(0, len(samples) - 1, min(len(samples), MOST_HEADERS)).round().astype(int)).tolist()
    if samples.transform.geometry:
        return dict.fromkeys(numbers, samples.transform.geometry.input)
    return {number: samples.reader.size(samples.indices[number]) for number in numbers}


def _one_of_each(sizes: dict[int, tuple[int, int]]) -> Iterator[int]:
    """Yield the numbers: first one of each size, the most frequent size first, then all others."""
    first: dict[tuple[int, int], int] = {}
    for number, size in sizes.items():
        first.setdefault(size, number)
    ahead = [first[size] for size, _ in Counter(sizes.values()).most_common()]
    yield from ahead
    yield from (number for number in sizes if number not in ahead)
