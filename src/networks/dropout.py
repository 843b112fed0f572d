"""Dropout whose masks are a function of a key, so that a resumed run drops what an uninterrupted one would drop."""
import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops


class Dropout(nn.Cell):
    """In training, sets each value to 0 with probability 1/2 and doubles the others; in evaluation it does nothing.

    A value is kept if the hash of its number and the key is not negative. Nothing is drawn from a generator, so there
    is no state to save. Takes and returns floats of any shape.

    Args:
        name (str): name that no other layer of the network has.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.key = Parameter(Tensor([0, 0], ms.int32), name=f"{name}.key", requires_grad=False)

    def __setattr__(self, name, value):
        # A parameter whose value may change between steps, but none of the network's: checkpoints do not hold it.
        if name == "key":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def construct(self, x):
        if not self.training:
            return x
        # The hash "lowbias32" by Chris Wellons, in which the second number of the key is put between the two rounds.
        bits = ops.bitwise_xor(ops.arange(x.size).astype(ms.int32), self.key[0])
        bits = _fold(bits, 16) * Tensor(0x7FEB352D, ms.int32) + self.key[1]
        bits = _fold(bits, 15) * Tensor(0x846CA68B - 2**32, ms.int32)
        kept = _fold(bits, 16) >= Tensor(0, ms.int32)
        return x * (2 * kept.astype(x.dtype).reshape(x.shape))


def _fold(bits, shift):
    """Return bits ^ (bits >> shift), where zeros are shifted in."""
    shifted = ops.bitwise_right_shift(bits, Tensor(shift, ms.int32))
    return ops.bitwise_xor(bits, ops.bitwise_and(shifted, Tensor(2 ** (32 - shift) - 1, ms.int32)))


class DropoutKeys:
    """Sets the keys of a network's dropout layers: a function of the seed, the rank, the step and its part.

    Args:
        network (nn.Cell): the network.
        seed (int): seed of the run.
        rank (int): rank of this process.
    """

    def __init__(self, network: nn.Cell, seed: int, rank: int = 0) -> None:
        self.layers = [cell for _, cell in network.cells_and_names() if isinstance(cell, Dropout)]
        self.seed, self.rank, self.step = seed, rank, 0

    def begin_step(self, step: int) -> None:
        """Set the keys for a step, and for its first part."""
        self.step = step
        self.begin_part(0)

    def begin_part(self, part: int) -> None:
        """Set the keys for a part of the step."""
        for number, layer in enumerate(self.layers):
            key = np.random.SeedSequence((self.seed, self.step, self.rank, part, number)).generate_state(2)
            layer.key.set_data(Tensor(key.astype(np.int32)))
