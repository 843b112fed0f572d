"""A trial of a run: some steps and an evaluation, to know how long they take. Nothing of it is kept."""
import time
from collections import Counter
from collections.abc import Iterator
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
STEP_SHARE, EVALUATION_SHARE = 0.03, 0.03       # of the minutes
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
    if config.context_mode == "graph":
        batch = trainer.schedule.batch_size
        compile_step(trainer.train_network, *(Tensor(np.zeros((batch, *shape), np.float32))
                                              for shape in (samples.image_shape, samples.label_shape)))
    compiled = time.monotonic() - began
    batches = training_batches(samples, trainer.schedule, trainer.ranks.rank, 0, config.num_parallel_workers)
    first, step = time_steps(trainer, batches, 60 * STEP_SHARE * config.minutes)
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


def time_steps(trainer: Trainer, batches: Iterator[Any], seconds: float) -> tuple[float, float]:
    """Return by how much the first steps take longer than the others, and the mean time of one of these.

    ``seconds`` is how long to try.
    """
    ends = [time.monotonic()]
    while len(ends) <= TRIAL_STEPS:
        trainer.try_step(batches)
        ends.append(time.monotonic())
        enough = len(ends) > LEAST_STEPS and ends[-1] - ends[FIRST_STEPS] > seconds
        if trainer.ranks.synchronize(stop=enough):
            break
    each = (ends[-1] - ends[FIRST_STEPS]) / (len(ends) - 1 - FIRST_STEPS)
    return max(0.0, ends[FIRST_STEPS] - ends[0] - FIRST_STEPS * each), each


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
        one = ValidationSamples(samples.reader, [samples.indices[number]], samples.transform, samples.num_classes,
                                samples.keep_label_size)
        for turn in range(2):
            started = time.monotonic()
            evaluator.scores(one)
            twice[turn] += time.monotonic() - started
        tried.append(sizes[number])
        if time.monotonic() - began > seconds:
            break
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
