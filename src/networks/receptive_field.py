"""How a network maps input to output. Without MindSpore."""
from dataclasses import dataclass


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
