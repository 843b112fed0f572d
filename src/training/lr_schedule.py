"""The learning rate over a run."""
import math

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops


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
        total_steps, warmup_steps, min_lr: of the schedule, see WarmupCosine; a constant does not use them.
    """
    return lr if name == "constant" else WarmupCosine(lr, total_steps, warmup_steps, min_lr)


def learning_rates(rate: float | WarmupCosine, total_steps: int) -> np.ndarray:
    """Return (total_steps,) float32: the value at each step of what ``build_learning_rate`` has built."""
    if isinstance(rate, float):
        return np.full(total_steps, rate, np.float32)
    return rate(Tensor(np.arange(total_steps), ms.int32)).asnumpy()
