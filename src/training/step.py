"""A training step in several parts, for batches that are larger than the memory."""
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

PREFIX = "accumulated."


class _Gradients(nn.Cell):
    """(images, labels, kept) -> the loss; the sums become kept * sums + gradients, kept being 0 or 1."""

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
    """The optimizer's step by the mean of the gradients of ``parts`` parts, over all ranks."""

    def __init__(self, step, sums, parts):
        super().__init__(auto_prefix=False)
        self.optimizer, self.reduce, self.sums, self.share = step.optimizer, step.grad_reducer, sums, 1 / parts

    def construct(self):
        gradients = ()
        for total in self.sums:
            gradients += (total * self.share,)
        return self.optimizer(self.reduce(gradients))


class AccumulatedStep(nn.Cell):
    """A step that goes through its batch in ``parts`` parts of one size: (images, labels) -> the mean loss.

    What the optimizer gets is the mean of the parts' gradients, which is the gradient of the whole batch for a loss
    that is a mean over images. Batch norm sees each part by itself.

    Args:
        step (nn.TrainOneStepCell): the step for one part; its network, optimizer and loss scale are used.
        parts (int): number of parts; the batch is a multiple of it.
    """

    def __init__(self, step, parts):
        super().__init__(auto_prefix=False)
        self.parts = parts
        sums = ParameterTuple([Parameter(np.zeros(weight.shape, np.float32), name=PREFIX + weight.name,
                                         requires_grad=False) for weight in step.weights])
        self.gradients, self.update = _Gradients(step, sums), _Update(step, sums, parts)

    # Two graphs that Python calls in turn, in the place of one graph that ``construct`` would describe.
    def __call__(self, images, labels):
        loss = 0
        for number, part in enumerate(zip(self._cut(images), self._cut(labels))):
            loss += self.gradients(*part, Tensor(float(number > 0))) / self.parts
        self.update()
        return loss

    def compile(self, images, labels):
        """Compile both graphs, for batches like these."""
        self.gradients.compile(self._cut(images)[0], self._cut(labels)[0], Tensor(0.0))
        self.update.compile()

    def parameters_and_names(self, name_prefix="", expand=True):
        """The parameters of the step; the sums, which begin anew at each step, are none of a checkpoint's."""
        for name, parameter in super().parameters_and_names(name_prefix, expand):
            if not parameter.name.startswith(PREFIX):
                yield name, parameter

    def _cut(self, batch):
        return [Tensor(part) for part in np.split(batch.asnumpy(), self.parts)]
