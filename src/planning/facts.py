"""What is known of a data set and of the machine, before options are chosen."""
from dataclasses import dataclass, field

from src.planning.masks import Classes


@dataclass(frozen=True)
class Objects:
    """The objects in masks: those of their numbers, or else the connected regions of a class.

    Attributes:
        count: number of objects that were measured.
        per_image: objects in an image, on average.
        smallest, median, largest: diameters in pixels, of discs of the objects' areas: that of the 10th, 50th and 90th
            percentile of the objects.
        typical: the diameter of the object that a pixel of the foreground is in, the median over these pixels.
        touching: share of the objects that touch another one; 0 for connected regions.
    """
    count: int = 0
    per_image: float = 0.0
    smallest: float = 0.0
    median: float = 0.0
    largest: float = 0.0
    typical: float = 0.0
    touching: float = 0.0


@dataclass(frozen=True)
class DataFacts:
    """A data set.

    Attributes:
        dataset: its layout.
        train, valid: number of images that train, and that validate.
        looked_at: number of images that the following is about.
        sizes: (height, width) of them.
        channels: channels that they have; 0 if they differ.
        because: what says so.
        deep: number of them with more than 8 bits.
        contrast: how far their contrast differs, which is from the 1st to the 99th percentile: the largest over the
            smallest.
        classes: what the masks hold.
        shares: share of the pixels of each class.
        has_objects: the masks say which pixels are of one object.
        objects: their sizes.
        gap: width of the background between objects in pixels: twice the distance to the foreground that 95 % of the
            pixels of the background are within.
    """
    dataset: str
    train: int
    valid: int
    looked_at: int
    sizes: list[tuple[int, int]]
    channels: int
    because: str
    deep: int
    contrast: float
    classes: Classes
    shares: list[float]
    has_objects: bool = False
    objects: Objects = field(default_factory=Objects)
    gap: float = 0.0


@dataclass(frozen=True)
class Machine:
    """A machine.

    Attributes:
        device: Ascend, GPU or CPU.
        cores: processors that may be kept busy.
        memory_gb: memory that is free, in GB of 10^9 bytes; 0 if it is not known.
        fast_operators: the compiled CPU operators can be used.
        bfloat16: the processor multiplies bfloat16 faster than float32.
    """
    device: str
    cores: int
    memory_gb: float
    fast_operators: bool = False
    bfloat16: bool = False
