"""Training samples of whole images, all resized to one size."""
import numpy as np

from src.data.augment import Augmentation, apply_steps
from src.data.reader import Reader
from src.data.sample_transforms import ResizingTransform
from src.model_utils.errors import UNetError


class WholeImages:
    """Draws images that are resized to the geometry of a transform, and augments them.

    Args:
        reader: reads the images.
        transform: resizes them.
        augmentation: what is done to them; with ``crop``, patches of the resized images are drawn.

    Attributes:
        margin: rows, and columns, by which the label is smaller than the image.

    Raises:
        UNetError: patches larger than the image.
    """

    def __init__(self, reader: Reader, transform: ResizingTransform, augmentation: Augmentation):
        self.reader, self.transform, self.augmentation = reader, transform, augmentation
        height, width = transform.geometry.input
        rows, columns = transform.geometry.content
        self.margin = height - rows, width - columns
        crop = augmentation.crop_size
        if crop and (crop[0] > height or crop[1] > width):
            raise UNetError(f"train_crop {augmentation.crop} is larger than the image, which image_size makes "
                            f"{height}x{width} (height x width)")

    def draw(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (H, W, C) float32 in the input range, and (H, W) classes."""
        image, classes = self.reader[index]
        image, classes = (self.transform.augmented(image, classes, rng) if self.augmentation.on
                          else self.transform.plain(image, classes))
        return apply_steps(self.augmentation, image, classes, rng, self.transform.normalization)
