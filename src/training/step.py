"""The training step: compiled before its first use, and in several parts for batches that do not fit into memory."""
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, amp, nn, ops
from mindspore.train.loss_scale_manager import FixedLossScaleManager

from src.model_utils import memory
from src.model_utils.errors import UNetError
from src.model_utils.runtime import first_line
from src.networks.dropout import DropoutKeys

logger = logging.getLogger("unet")

PREFIX = "accumulated."


class _Gradients(nn.Cell):
    """(images, labels, kept) -> the loss; sets the sums to kept * sums + gradients, where kept is 0 or 1."""

    def __init__(self, step, sums):
        super().__init__(auto_prefix=False)
        self.network, self.weights, self.grad, self.scale = step.network, step.weights, step.grad, step.sens
        self.sums = sums

    def construct(self, images, labels, kept):
        loss = self.network(images, labels)
        scale = ops.fill(loss.dtype, loss.shape, self.scale)
        gradients = self.grad(self.network, self.weights)(images, labels, scale)
        for total, gradient in zip(self.sums, gradients):
            loss = ops.depend(loss, ops.assign(total, kept * total + gradient))
        return loss


class _Update(nn.Cell):
    """Takes the optimizer's step with the mean of the gradients of ``parts`` parts, over all ranks."""

    def __init__(self, step, sums, parts):
        super().__init__(auto_prefix=False)
        self.optimizer, self.reduce, self.sums, self.share = step.optimizer, step.grad_reducer, sums, 1 / parts

    def construct(self):
        gradients = ()
        for total in self.sums:
            gradients += (total * self.share,)
        return self.optimizer(self.reduce(gradients))


class AccumulatedStep(nn.Cell):
    """A step that splits its batch into ``parts`` parts of equal size: (images, labels) -> the mean loss.

    The optimizer gets the mean of the gradients of the parts. For a loss that is a mean over images, this is the
    gradient of the whole batch. Batch norm sees each part by itself; ``choose_backend`` adapts its momentum.

    Args:
        step (nn.TrainOneStepCell): the step for one part, of which it uses network, optimizer and loss scale.
        parts (int): number of parts; the batch size is a multiple of it.
        dropout (DropoutKeys): of the network; each part drops other values.
    """

    def __init__(self, step: nn.TrainOneStepCell, parts: int, dropout: DropoutKeys) -> None:
        super().__init__(auto_prefix=False)
        self.parts, self.dropout = parts, dropout
        sums = ParameterTuple([Parameter(np.zeros(weight.shape, np.float32), name=PREFIX + weight.name,
                                         requires_grad=False) for weight in step.weights])
        self.gradients, self.update = _Gradients(step, sums), _Update(step, sums, parts)

    # Python calls two graphs in turn, instead of one graph that ``construct`` would describe.
    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        loss = 0
        for number, part in enumerate(zip(self._cut(images), self._cut(labels))):
            self.dropout.begin_part(number)
            loss += self.gradients(*part, Tensor(float(number > 0))) / self.parts
        self.update()
        return loss

    def compile(self, images: Tensor, labels: Tensor) -> None:
        """Compile both graphs for batches of these shapes."""
        self.gradients.compile(self._cut(images)[0], self._cut(labels)[0], Tensor(0.0))
        self.update.compile()

    def parameters_and_names(self, name_prefix: str = "", expand: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters of the step without the sums, which checkpoints do not need."""
        for name, parameter in super().parameters_and_names(name_prefix, expand):
            if not parameter.name.startswith(PREFIX):
                yield name, parameter

    def _cut(self, batch):
        return [Tensor(part) for part in np.split(batch.asnumpy(), self.parts)]


def build_step(network: Any, optimizer: Any, loss: Any, amp_level: str, loss_scale: float) -> nn.TrainOneStepCell:
    """Build MindSpore's training step, (images, labels) -> loss, with mixed precision and a fixed loss scale.

    Raises:
        UNetError: MindSpore cannot change the network for this level.
    """
    manager = FixedLossScaleManager(loss_scale, drop_overflow_update=False)
    # MindSpore may write the source of the changed network into ./rewritten_network. It reads it again when it compiles
    # the network, so the folder must last as long as the step.
    here, folder = os.getcwd(), TemporaryDirectory(prefix="unet_mixed_precision_")
    # MindSpore looks for its own modules by real paths, which an environment behind a symbolic link does not have.
    packages = str(Path(ms.__file__).resolve().parents[1])
    if packages not in sys.path:
        sys.path.append(packages)
    os.chdir(folder.name)
    try:
        step = amp.build_train_network(network, optimizer, loss, level=amp_level, loss_scale_manager=manager)
    # The rewritten source may fail in any way.
    except Exception as error:
        if amp_level != "O1":
            raise
        raise UNetError(f"amp_level O1: this MindSpore cannot change the network for it ({first_line(error)}); use O2 "
                        f"or O3") from None
    finally:
        os.chdir(here)
    step.source_folder = folder
    return step


def compile_step(train_network: Any, images: Tensor, labels: Tensor) -> None:
    """Compile the training graph before the first step, so that the time of the first step does not include it.

    Args:
        train_network (Cell): the training step; ``AccumulatedStep`` or MindSpore's own.
        images, labels (Tensor): a batch; only the shapes matter.
    """
    started = time.perf_counter()
    train_network.set_train()
    train_network.compile(images, labels)
    memory.release_free_memory()
    logger.info("training graph compiled in %.1f s", time.perf_counter() - started)
