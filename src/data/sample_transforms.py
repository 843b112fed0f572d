"""From what a reader gives to what the network takes: one transform for stacks, one for image files."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from src.data import augment, transforms
from src.data.augmentation_policies import POLICIES
from src.model_utils.errors import UNetError


@dataclass(frozen=True)
class Geometry:
    """Sizes, all (height, width) in pixels.

    The image is resized to ``content`` and padded with zeros to ``input``. With valid convolutions ``content`` is the
    size of the network's output; otherwise both are the same.
    """
    input: tuple[int, int]
    content: tuple[int, int]

    @classmethod
    def from_options(cls, image_size: Sequence[int], crop: Sequence[int] | None = None,
                     width_first: bool = False) -> "Geometry":
        """Make it from the options, which say [width, height] with ``width_first``, else [height, width].

        Raises:
            UNetError: crop is larger than image_size.
        """
        size = _height_width(image_size, width_first)
        content = size if crop is None else _height_width(crop, width_first)
        if any(inner > outer for inner, outer in zip(content, size)):
            raise UNetError(f"crop {list(crop or ())} is larger than image_size {list(image_size)}; crop is the size "
                            f"of the network's output")
        return cls(size, content)


def _height_width(size: Sequence[int], width_first: bool) -> tuple[int, int]:
    first, second = size
    return (second, first) if width_first else (first, second)


class Transform(Protocol):
    """Makes an image and its classes fit for the network.

    Both methods take uint8 (H, W) or (H, W, C) and classes (H, W), and give a float32 image from ``input_min`` to 1
    and classes, both of the geometry's input size.
    """
    geometry: Geometry
    input_min: int

    def plain(self, image: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Transform without randomness."""

    def augmented(self, image: np.ndarray, classes: np.ndarray,
                  rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Transform with the augmentation of ``train_augment``."""


class StackTransform:
    """For ISBI slices: scales to ``input_min`` to 1, then resizes, as the published protocol does.

    Raises:
        UNetError: a policy other than default.
    """

    def __init__(self, geometry: Geometry, input_min: int = -1, policy: str = "default"):
        if policy != "default":
            raise UNetError(f"augmentation {policy} is for image and mask files; leave it at default for ISBI stacks")
        self.geometry, self.input_min = geometry, input_min

    def plain(self, image: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        image = transforms.resize_image(transforms.to_unit_range(image, self.input_min), self.geometry.content)
        classes = transforms.resize_two_classes(classes, self.geometry.content)
        return transforms.pad_to(image, self.geometry.input), transforms.pad_to(classes, self.geometry.input)

    def augmented(self, image: np.ndarray, classes: np.ndarray,
                  rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Transform as ``plain``, then apply random flips, crop-and-resize and brightness."""
        image, classes = self.plain(image, classes)
        for step in (augment.flip, augment.crop_and_resize):
            image, classes = step(image, classes, rng)
        return augment.brightness(image, classes, rng, self.input_min)


class FolderTransform:
    """For images of any size: resizes, then scales to ``input_min`` to 1; ``policy`` names the augmentation."""

    def __init__(self, geometry: Geometry, input_min: int = -1, policy: str = "default"):
        self.geometry, self.input_min, self.policy = geometry, input_min, POLICIES[policy]

    def plain(self, image: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._finish(transforms.resize_image(image, self.geometry.content),
                            transforms.resize_classes(classes, self.geometry.content))

    def augmented(self, image: np.ndarray, classes: np.ndarray,
                  rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Augment and resize by the policy, then scale."""
        return self._finish(*self.policy(image, classes, self.geometry.content, rng))

    def _finish(self, image: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        image = transforms.to_unit_range(image, self.input_min)
        return transforms.pad_to(image, self.geometry.input), transforms.pad_to(classes, self.geometry.input)
