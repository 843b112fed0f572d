"""Learning rate over the run."""
import math

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops


class WarmupCosine(nn.learning_rate_schedule.LearningRateSchedule):
    """Linear rise to ``lr`` over ``warmup_steps``, then half a cosine down to ``min_lr``,
    which it would reach one step after the last.

    global_step (int32, from 0) -> float32 of the same shape.
    """

    def __init__(self, lr, total_steps, warmup_steps=0, min_lr=0.0):
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


def learning_rates(rate, total_steps):
    """(total_steps,) float32: what ``build_learning_rate`` gives at each step."""
    if isinstance(rate, float):
        return np.full(total_steps, rate, np.float32)
    return rate(Tensor(np.arange(total_steps), ms.int32)).asnumpy()


def build_learning_rate(config, total_steps):
    """What nn.Adam takes as its learning rate: a number, or a schedule over ``total_steps``."""
    if config.lr_schedule == "constant":
        return config.lr
    return WarmupCosine(config.lr, total_steps, config.warmup_steps, config.min_lr)
