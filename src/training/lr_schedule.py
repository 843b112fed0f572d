"""The learning rate over a run."""
import math
from collections.abc import Callable
from functools import lru_cache

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.model_utils.errors import UNetError

BLOCK = 1000        # steps whose rates are computed together

class WarmupCosine(nn.learning_rate_schedule.LearningRateSchedule):
    """Linear rise to ``lr`` over ``warmup_steps`` steps, then half a cosine down to ``min_lr``.

    It would reach ``min_lr`` one step after the last. Maps global_step (int32, from 0) to float32 of the same shape.
    """

    def __init__(self, lr: float, total_steps: int, warmup_steps: int = 0, min_lr: float = 0.0) -> None:
        super().__init__()
        self.lr, self.min_lr = lr, min_lr
        self.warmup_steps = warmup_steps
        self.decay_steps = max(total_steps - warmup_steps, 1)

    def construct(self, global_step):
        step = global_step.astype("float32")
        progress = ops.clamp((step - self.warmup_steps) / self.decay_steps, 0.0, 1.0)
        decayed = self.min_lr + 0.5 * (self.lr - self.min_lr) * (1.0 + ops.cos(math.pi * progress))
        if self.warmup_steps == 0:
            return decayed
        return ops.where(step < self.warmup_steps, self.lr * (step + 1.0) / self.warmup_steps, decayed)


def build_learning_rate(name: str, lr: float, total_steps: int, warmup_steps: int = 0,
                        min_lr: float = 0.0) -> float | WarmupCosine:
    """Build what nn.Adam takes as its learning rate.

    Args:
        name: constant or cosine.
        lr: the constant, or the highest rate of the schedule.
        total_steps, warmup_steps, min_lr: of the schedule, see WarmupCosine.

    Raises:
        UNetError: the schedule cannot be as the options say.
    """
    if name == "constant":
        for option, value in (("warmup_steps", warmup_steps), ("min_lr", min_lr)):
            if value:
                raise UNetError(f"{option} is {value}, but lr_schedule is constant, which has no use for it; set "
                                f"lr_schedule to cosine, or {option} to 0")
        return lr
    if warmup_steps > total_steps:
        raise UNetError(f"warmup_steps is {warmup_steps}, but the run has only {total_steps} steps and would never "
                        f"reach lr; lower warmup_steps, or train longer")
    if min_lr > lr:
        raise UNetError(f"min_lr {min_lr} is above lr {lr}; the cosine schedule falls from lr to min_lr: lower min_lr, "
                        f"or raise lr")
    return WarmupCosine(lr, total_steps, warmup_steps, min_lr)


def rate_of_step(rate: float | WarmupCosine) -> Callable[[int], float]:
    """Return a function that maps a step, from 0, to its rate; ``rate`` is what ``build_learning_rate`` has built."""
    if isinstance(rate, float):
        return lambda step: rate

    @lru_cache(maxsize=1)
    def rates_of(block: int) -> np.ndarray:
        return rate(Tensor(np.arange(block * BLOCK, (block + 1) * BLOCK), ms.int32)).asnumpy()

    return lambda step: float(rates_of(step // BLOCK)[step % BLOCK])
