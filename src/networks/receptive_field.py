"""Which pixels of its input a network needs for a pixel of its output. Without MindSpore."""
from dataclasses import dataclass

POOLINGS = 4    # of every network here

# What valid convolutions take away at each side: two 3x3 of each level, on the way down and on the way up.
VALID_MARGIN = 2 * sum(2 ** level for level in (*range(POOLINGS + 1), *range(POOLINGS)))

# How far upsampling by 2 reaches to each side, in pixels of the upper level. Bilinear upsampling reads the next pixel
# of the lower level, which is 2 wide; the 2x2 convolution after nearest upsampling reads one neighbour.
REACH_UP = {"deconv": 0, "bilinear": 2, "nearest": 1}

# Of a trimmed network (see ``src.networks.layers``), in pixels of a level at each side: what is cut off before the
# first upsampling from a level, the least that holds all pixels that saw the zeros around the image on the way down;
# and what is cut off after an upsampling, where its own border shows.
TRIMMED_BELOW = 4
TRIMMED_UP = {"deconv": 0, "bilinear": 1, "nearest": 1}


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive field of a network, in pixels.

    Attributes:
        margin_lost: what valid convolutions take away from the image at each side; 0 for same convolutions.
        context: how far to each side the result of a pixel depends on the image.
        stride: an image that is shifted by a multiple of it gives the same result, shifted.
    """
    margin_lost: int
    context: int
    stride: int


def same_field(upsampling: str) -> ReceptiveField:
    """Return the receptive field of a U-Net of same convolutions.

    A pixel of level l is 2**l wide. The two 3x3 convolutions of a level reach 2 of its pixels to each side, on the way
    down and on the way up. Upsampling adds ``REACH_UP``, and a last convolution at level 0 may add 1.

    Args:
        upsampling: deconv, bilinear or nearest.
    """
    reach = 1 + VALID_MARGIN + sum(REACH_UP[upsampling] * 2 ** level for level in range(POOLINGS))
    stride = 2 ** POOLINGS
    return ReceptiveField(0, -(-reach // stride) * stride, stride)


def valid_field(margin_lost: int) -> ReceptiveField:
    """Return the receptive field of a U-Net of valid convolutions: they remove every pixel that lacks context."""
    return ReceptiveField(margin_lost, 0, 2 ** POOLINGS)


def same_output_size(size: int) -> int | None:
    """Return the height (or width) of the logits of same convolutions for an input of height (or width) ``size``.

    Returns None if the network cannot take the size: a pooling would drop a row, and the skips would not fit.
    """
    return size if size > 0 and size % 2 ** POOLINGS == 0 else None
