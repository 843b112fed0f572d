"""How a network maps the pixels of its input to those of its output. Without MindSpore."""
from dataclasses import dataclass

POOLINGS = 4    # of all networks here, on the way down

# How far a step up a level reaches, in pixels of the upper level: bilinear upsampling to the next pixel of the lower
# one, the 2x2 convolution after nearest upsampling to one neighbour.
REACH_UP = {"deconv": 0, "bilinear": 2, "nearest": 1}


@dataclass(frozen=True)
class ReceptiveField:
    """How a network maps input to output.

    Attributes:
        margin_lost: pixels that valid convolutions take away at each side; 0 for same convolutions.
        context: pixels around a pixel that its result depends on.
        stride: the result is the same when the input moves by a multiple of this.
    """
    margin_lost: int
    context: int
    stride: int


def same_field(upsampling: str) -> ReceptiveField:
    """Return the receptive field of a U-Net of same convolutions.

    A pixel of level l is 2**l wide. The two 3x3 convolutions of a level reach 2 of its pixels to each side, on the way
    down and on the way up, and a step up to it some more; a last convolution may reach one more at level 0.

    Args:
        upsampling: how it goes up a level, a key of ``REACH_UP``.
    """
    reach = (1 + sum(2 * 2 ** level for level in range(POOLINGS + 1))
             + sum((2 + REACH_UP[upsampling]) * 2 ** level for level in range(POOLINGS)))
    stride = 2 ** POOLINGS
    return ReceptiveField(0, -(-reach // stride) * stride, stride)


def valid_field(margin_lost: int) -> ReceptiveField:
    """Return the receptive field of a U-Net of valid convolutions, which take away all pixels without a context."""
    return ReceptiveField(margin_lost, 0, 2 ** POOLINGS)


def same_output_size(size: int) -> int | None:
    """Height (or width) of the logits of same convolutions for an input of height (or width) ``size``.

    None where the network cannot take it: poolings would drop a row, and the skips would not fit.
    """
    return size if size > 0 and size % 2 ** POOLINGS == 0 else None
