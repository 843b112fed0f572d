"""How training samples are drawn, and what the options say about it."""
from dataclasses import dataclass

from src.data import skeletons
from src.data.augment import Augmentation
from src.data.patches import PatchOptions
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.options import NATIVE

PATCH = 256     # side of patches of native images that nothing is trained on


@dataclass(frozen=True)
class TrainingOptions:
    """How training samples are drawn.

    Attributes:
        augmentation: what is done to them.
        seed: seed of order and augmentation.
        shuffle: draw them in random order.
        border_w0: largest weight of the borders between objects (see ``border_weights``); 0 makes no weights.
        skeletons: mark the skeletons of the classes (see ``skeletons``), for the loss.
        has_rim: the classes are background, interior and rim (see ``boundary``) instead of the masks' two.
        patches: which patches of images in their own sizes are drawn; None draws resized images.
    """
    augmentation: Augmentation = Augmentation()
    seed: int = 1
    shuffle: bool = True
    border_w0: float = 0.0
    skeletons: bool = False
    has_rim: bool = False
    patches: PatchOptions | None = None


DEFAULT_OPTIONS = TrainingOptions()


def training_options(config: Config) -> TrainingOptions:
    """Return how the options say that training samples are drawn.

    Raises:
        UNetError: options that do not fit together.
    """
    augmentation = Augmentation(config.train_augment, config.augmentation, config.train_crop, config.augment_flip,
                                config.augment_rot90, config.augment_elastic, config.augment_gray, config.augment_noise,
                                _scale_range(config.augment_scale), config.augment_rotate)
    return TrainingOptions(augmentation, config.seed, border_w0=config.border_w0 if config.border_weight else 0.0,
                           skeletons=skeletons.are_needed(config.loss), has_rim=config.has_rim,
                           patches=_patch_options(config, augmentation))


def _scale_range(option: list[float]) -> tuple[float, float] | None:
    if not option:
        return None
    if len(option) != 2 or option[0] > option[1]:
        raise UNetError(f"augment_scale {option}: expected the smallest and the largest factor, such as [0.7, 1.4]")
    return option[0], option[1]


def _patch_options(config: Config, augmentation: Augmentation) -> PatchOptions | None:
    if config.image_size != NATIVE:
        for name in ("augment_scale", "augment_rotate"):
            if getattr(config, name):
                raise UNetError(f"{name} is {getattr(config, name)}, which is for patches of images in their own "
                                f"sizes; set image_size to native, or leave it out")
        if config.patches_per_image > 1:
            raise UNetError(f"patches_per_image is {config.patches_per_image}, which is for image_size native; set "
                            f"that, or raise repeat")
        return None
    size = augmentation.crop_size
    if size is None:
        raise UNetError("image_size native trains on patches of the images; give their size with train_crop, such as "
                        "256 or [256, 384] (height, width)")
    label_size = size if config.crop is None else tuple(config.crop)
    if label_size[0] > size[0] or label_size[1] > size[1]:
        raise UNetError(f"crop {list(label_size)} is larger than train_crop {list(size)}; crop is the size of the "
                        f"network's output for a patch")
    return PatchOptions(size, label_size, config.foreground_patches, config.patches_per_image)


def with_patches(config: Config) -> Config:
    """Return the options with a size for the patches of native images, which a checkpoint does not say.

    Training must be told it. What only looks at the training images need not.
    """
    return config if config.image_size != NATIVE or config.train_crop else config.replace(train_crop=PATCH)
