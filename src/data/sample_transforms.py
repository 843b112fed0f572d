"""From what a reader gives to what the network takes: one transform for stacks, one for image files."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from src.data import augment, transforms
from src.data.augmentation_policies import POLICIES
from src.data.normalization import AS_PUBLISHED, Normalization
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

    ``geometry`` says in which sizes; None is native: the sizes of the images.
    """
    normalization: Normalization

    @property
    def geometry(self) -> Geometry | None:
        """Sizes of what it makes."""

    def plain(self, image: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Transform without randomness.

        Args:
            image: (H, W, C), uint8 or float32 as ``normalization`` gives it.
            classes: (H, W).

        Returns:
            tuple: a float32 image in the input range, and classes; both of the geometry's input size, or their own.
        """

    def image(self, image: np.ndarray) -> np.ndarray:
        """Transform an image without classes, as ``plain`` does."""


class ResizingTransform(Transform, Protocol):
    """A Transform to one size."""

    @property
    def geometry(self) -> Geometry: ...

    def augmented(self, image: np.ndarray, classes: np.ndarray,
                  rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Transform with the augmentation of ``train_augment``."""


class NativeTransform:
    """For images that keep their own sizes: only scales to the input range."""

    geometry = None

    def __init__(self, normalization: Normalization = AS_PUBLISHED):
        self.normalization = normalization

    def plain(self, image: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.image(image), classes

    def image(self, image: np.ndarray) -> np.ndarray:
        """Transform an image without classes, as ``plain`` does."""
        return transforms.to_unit_range(image, self.normalization.input_min)


class StackTransform:
    """For ISBI slices: scales to the input range, then resizes, as the published protocol does.

    Raises:
        UNetError: a policy other than default.
    """

    def __init__(self, geometry: Geometry, normalization: Normalization = AS_PUBLISHED, policy: str = "default",
                 num_classes: int = 2):
        if policy != "default":
            raise UNetError(f"augmentation {policy} is for image and mask files; leave it at default for ISBI stacks")
        self.geometry, self.normalization = geometry, normalization
        self.resize_labels = transforms.label_resize(num_classes)

    def plain(self, image: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        classes = self.resize_labels(classes, self.geometry.content)
        return self.image(image), transforms.pad_to(classes, self.geometry.input)

    def image(self, image: np.ndarray) -> np.ndarray:
        image = transforms.to_unit_range(image, self.normalization.input_min)
        return transforms.pad_to(transforms.resize_image(image, self.geometry.content), self.geometry.input)

    def augmented(self, image: np.ndarray, classes: np.ndarray,
                  rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Transform as ``plain``, then ``vary``."""
        return self.vary(*self.plain(image, classes), rng)

    def vary(self, image: np.ndarray, classes: np.ndarray,
             rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Apply random flips, crop-and-resize and brightness to a transformed image and its classes."""
        image, classes = augment.crop_and_resize(*augment.flip(image, classes, rng), rng, self.resize_labels)
        return augment.brightness(image, classes, rng, self.normalization)


class FolderTransform:
    """For images of any size: resizes, then scales to the input range; ``policy`` names the augmentation."""

    def __init__(self, geometry: Geometry, normalization: Normalization = AS_PUBLISHED, policy: str = "default",
                 num_classes: int = 2):
        self.geometry, self.normalization, self.policy = geometry, normalization, POLICIES[policy]
        self.resize_labels = transforms.label_resize(num_classes)

    def plain(self, image: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        classes = self.resize_labels(classes, self.geometry.content)
        return self.image(image), transforms.pad_to(classes, self.geometry.input)

    def image(self, image: np.ndarray) -> np.ndarray:
        return self._finish(transforms.resize_image(image, self.geometry.content))

    def augmented(self, image: np.ndarray, classes: np.ndarray,
                  rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Augment and resize by the policy, then scale."""
        image, classes = self.policy(image, classes, self.geometry.content, rng, self.resize_labels)
        return self._finish(image), transforms.pad_to(classes, self.geometry.input)

    def _finish(self, image: np.ndarray) -> np.ndarray:
        return transforms.pad_to(transforms.to_unit_range(image, self.normalization.input_min), self.geometry.input)
