"""The mean of a network's weights over the last steps of a run, which predicts better than the weights of one step."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from mindspore import Tensor, nn, ops


class WeightAverage:
    """An exponential moving average of all parameters of a network, the statistics of batch norm among them.

    After step t, counted from 1, mean = d mean + (1 - d) weights, where d is ``decay``, or (1 + t) / (10 + t) while
    that is smaller: a mean of many steps would otherwise long be that of the random weights of the start.

    The means are NumPy arrays. Where MindSpore's memory is the host's, an update costs one pass over the weights, no
    graph to compile, and no memory but theirs.

    Args:
        network (nn.Cell): the network in training; its weights now are the first means.
        decay (float): from 0 to 1; the mean is that of about 1 / (1 - decay) steps.
    """

    def __init__(self, network: nn.Cell, decay: float) -> None:
        self.parameters: list[Any] = list(network.get_parameters())
        self.decay = decay
        self.means: list[np.ndarray] = []
        self.begin()

    def begin(self) -> None:
        """Take the network's weights as the means."""
        self.means = [parameter.asnumpy().astype(np.float32) for parameter in self.parameters]

    def update(self, step: int) -> None:
        """Take the weights after step ``step`` of the run, from 1, into the means."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for mean, parameter in zip(self.means, self.parameters):
            # In place and in one pass; NumPy would take three.
            weight = parameter.asnumpy().astype(np.float32, copy=False)
            cv2.accumulateWeighted(weight.reshape(1, -1), mean.reshape(1, -1), share)

    def named(self) -> dict[str, np.ndarray]:
        """Return name of a parameter -> its mean."""
        return {parameter.name: mean for parameter, mean in zip(self.parameters, self.means)}

    def load(self, means: dict[str, np.ndarray]) -> None:
        """Take over the means of all parameters, by their names."""
        self.means = [means[parameter.name].astype(np.float32) for parameter in self.parameters]

    @contextmanager
    def in_network(self) -> Iterator[None]:
        """Put the means into the network, and its own weights back at the end."""
        weights = [parameter.asnumpy().copy() for parameter in self.parameters]
        self._put(self.means)
        try:
            yield
        finally:
            self._put(weights)

    def _put(self, values: list[np.ndarray]) -> None:
        for parameter, value in zip(self.parameters, values):
            # In place: in pynative mode, a step after set_data would not be what it is without.
            ops.assign(parameter, Tensor(value, parameter.dtype))
