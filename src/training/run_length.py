"""How many steps fit into the option ``minutes``: arithmetic on what a few steps and an evaluation took."""
import logging
from dataclasses import dataclass
from math import ceil
from typing import Any

from src.data.schedule import Schedule
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.training.evaluation import EvaluationPlan

logger = logging.getLogger("unet")

TRIAL_STEPS = 32            # at most
FIXED_BY_MINUTES = ("total_steps", "eval_steps", "warmup_steps")      # at the start of a run
# Options that say when to evaluate; if the user gives none of them, the evaluations are spread over the run.
WHEN_TO_EVALUATE = {"eval_steps", "eval_interval", "eval_start_epoch"}
MOST_EVALUATIONS = 10
EVALUATION_SHARE = 0.15     # of the time, for evaluations that are spread
WARMUP_SHARE = 0.1          # of the steps; a longer warm-up is cut to it
RESERVE = 0.02              # of the minutes, for checkpoints and noise
END_SECONDS = 3.0           # the report and the last checkpoint


@dataclass(frozen=True)
class Costs:
    """What was measured, in seconds.

    Attributes:
        start: until the first step of the run, from the end of the measurement.
        step: one step, with the wait for its data.
        evaluation: one evaluation of all validation samples.
        first_evaluation: what the first one takes besides, to compile its graphs.
    """
    start: float
    step: float
    evaluation: float = 0.0
    first_evaluation: float = 0.0


def epochs_option(config: Config) -> str:
    """Return the name of the option that sets the length of the run."""
    return "distribute_epochs" if config.run_distribute else "epochs"


def check_length(config: Config) -> None:
    """Raise UNetError if two options on the command line both set the length of the run."""
    on_line = config.on_command_line
    others = ["epochs", "distribute_epochs"] + ["total_steps"] * ("minutes" in on_line)
    for name in others:
        if config.minutes and name in on_line and getattr(config, name):
            raise UNetError(f"{name} is {getattr(config, name)} and minutes is {config.minutes:g}, and both set the "
                            f"length of the run; leave one of them out")


def warn_of_ignored(config: Config) -> None:
    """Warn if ``epochs`` was given for a run on several devices, whose length another option sets."""
    on_line = config.on_command_line
    if config.run_distribute and "epochs" in on_line and "distribute_epochs" not in on_line and not (
            config.minutes or config.total_steps or config.epochs == config.distribute_epochs):
        logger.warning("WARNING: epochs %d does not count with run_distribute; distribute_epochs is %d",
                       config.epochs, config.distribute_epochs)


def is_settled(config: Config) -> bool:
    """Return whether the number of steps is known; minutes on the command line come before total_steps in a file."""
    on_line = config.on_command_line
    return not config.minutes or bool(config.total_steps) and not ("minutes" in on_line
                                                                    and "total_steps" in config.from_yaml)


def as_trial(config: Config) -> Config:
    """Return the options of a run of which some steps are tried."""
    return config.replace(total_steps=TRIAL_STEPS, warmup_steps=min(config.warmup_steps, TRIAL_STEPS))


def evaluations(plan: EvaluationPlan, schedule: Schedule, steps: int) -> int:
    """Count the evaluations of a run of ``steps`` steps, the one at its end included."""
    if plan.steps:
        return ceil(steps / plan.steps)
    epochs, rest = divmod(steps, schedule.steps_per_epoch)
    done = [epoch for epoch in range(1, epochs + 1) if plan.after_epoch(epoch)]
    return len(done) + bool(rest or not done or done[-1] != epochs)


def steps_within(seconds: float, costs: Costs, plan: EvaluationPlan | None, schedule: Schedule) -> int:
    """Return the largest number of steps whose time, with the evaluations of ``plan``, is within ``seconds``."""
    low, high = 0, max(1, int(seconds / costs.step) + 1)
    while low < high - 1:
        middle = (low + high) // 2
        times = evaluations(plan, schedule, middle) if plan else 0
        low, high = (middle, high) if middle * costs.step + times * costs.evaluation <= seconds else (low, middle)
    return low


def fit(config: Config, costs: Costs, schedule: Schedule, used: float) -> dict[str, Any]:
    """Return the options that fix the length of a run.

    Args:
        config: the options, of which minutes is not 0.
        costs: what was measured.
        schedule: one of the run's batches and samples; its length does not count.
        used: seconds of the minutes that are gone.

    Returns:
        dict: total_steps; eval_steps if the evaluations are to be spread; warmup_steps if it must be shorter.

    Raises:
        UNetError: not even a few steps fit.
    """
    left = config.minutes * 60 * (1 - RESERVE) - used - costs.start - END_SECONDS
    plan = EvaluationPlan.from_config(config) if config.run_eval else None
    changes: dict[str, Any] = {}
    if plan:
        left -= costs.first_evaluation
        if not WHEN_TO_EVALUATE & config.given:
            count = min(MOST_EVALUATIONS, max(1, int(EVALUATION_SHARE * left / max(costs.evaluation, 1e-9))))
            steps = int((left - count * costs.evaluation) / costs.step)
            changes["eval_steps"] = max(1, ceil(steps / count))
            plan = EvaluationPlan.from_config(config.replace(**changes))
    steps = steps_within(left, costs, plan, schedule)
    if steps < 1:
        needed = (config.minutes * 60 - left + (costs.evaluation if plan else 0) + 10 * costs.step) / 60
        raise UNetError(f"minutes {config.minutes:g} is too short: the start takes {used + costs.start:.0f} s, an "
                        f"evaluation {costs.evaluation + costs.first_evaluation:.0f} s, a step {costs.step:.2g} s, so "
                        f"that not one step fits; give at least --minutes={ceil(needed * 10) / 10:g}")
    changes["total_steps"] = steps
    longest = int(steps * WARMUP_SHARE)
    if config.warmup_steps > longest:
        if "warmup_steps" in config.on_command_line:
            logger.warning("WARNING: warmup_steps %d is more than a tenth of the %d steps that fit into %g minutes",
                           config.warmup_steps, steps, config.minutes)
        else:
            logger.info("warmup_steps %d instead of %d: a tenth of the %d steps", longest, config.warmup_steps, steps)
            changes["warmup_steps"] = longest
    times = f" ({evaluations(plan, schedule, steps)} of them)" if plan else ""
    logger.info("%g minutes: %d steps fit; a step takes %.3g s, an evaluation %.3g s%s, the start %.0f s",
                config.minutes, steps, costs.step, costs.evaluation, times, used + costs.start)
    return changes
