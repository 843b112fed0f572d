"""The two functions of the model zoo that make the MindSpore pipelines of a data set."""
from typing import Literal

from mindspore.dataset import Dataset

from src.data.augment import Augmentation
from src.data.layouts import Source
from src.data.mask_pixels import MaskOptions
from src.data.pipeline import training_pipeline, validation_pipeline
from src.data.sample_transforms import FolderTransform, Geometry, StackTransform
from src.data.samples import TrainingOptions, TrainingSamples, open_samples
from src.data.schedule import Schedule
from src.model_utils.schema import PROJECT_ROOT, load_schema, read_yaml

# The model zoo's YAML files say None, which their reader takes for a text.
Crop = list[int] | Literal["None"] | None


def create_dataset(data_dir: str, repeat: int = 400, train_batch_size: int = 16, augment: bool = False,
                   cross_val_ind: int = 1, run_distribute: bool = False, do_crop: Crop = None,
                   img_size: list[int] | None = None, *, augmentation: Augmentation | None = None,
                   seed: int = 1) -> tuple[Dataset, Dataset]:
    """Make the training and validation pipelines of one ISBI fold.

    Args:
        data_dir (str): folder of ``train-volume.tif`` and ``train-labels.tif``.
        repeat (int): passes over the training slices in one epoch.
        train_batch_size (int): slices a step, on each rank.
        augment (bool): augment by flips, crop-and-resize and brightness.
        cross_val_ind (int): which of the five folds validates.
        run_distribute (bool): share the samples among the ranks of MindSpore's process group.
        do_crop (list[int]): [height, width] of the label for a network of valid convolutions; None or "None" for
            others.
        img_size (list[int]): [height, width] of the network's input. Without it, sizes that are not given are those
            of unet_medical_config.yaml.
        augmentation (Augmentation): used instead of ``augment``; also has patches, quarter turns and others.
        seed (int): seed of order and augmentation.

    Returns:
        tuple: (training Dataset, validation Dataset), each of (N, 1, H, W) float32 images in [-1, 1] and
        (N, 2, h, w) float32 one-hot labels; validation in batches of 1.

    Raises:
        UNetError: no data, damaged stacks, too few slices, a batch larger than the data set.
    """
    if img_size is None:
        # The first release, which had no other network, gave no sizes.
        medical = read_yaml(PROJECT_ROOT / "unet_medical_config.yaml", load_schema())
        img_size, do_crop = medical["image_size"], do_crop or medical["crop"]
    train, valid = open_samples(Source("ISBI", data_dir, fold=cross_val_ind),
                                StackTransform(_geometry(img_size, do_crop)),
                                TrainingOptions(augmentation or Augmentation(on=augment), seed))
    rank, group_size = _rank_and_group_size() if run_distribute else (0, 1)
    return _epoch_pipeline(train, repeat, train_batch_size, rank, group_size), validation_pipeline(valid)


def create_multi_class_dataset(data_dir: str, img_size: list[int], repeat: int, batch_size: int, num_classes: int = 2,
                               is_train: bool = False, augment: bool = False, eval_resize: bool = False,
                               split: float = 0.8, rank: int = 0, group_size: int = 1, shuffle: bool = True, *,
                               num_channels: int = 3, do_crop: Crop = None,
                               augmentation: Augmentation | None = None, seed: int = 1) -> Dataset:
    """Make the training or validation pipeline of folders ``NAME/image.png``, ``NAME/mask.png``.

    Args:
        data_dir (str): the data set's folder.
        img_size (list[int]): [width, height] of the network's input.
        repeat (int): passes over the data in one epoch, of the training pipeline.
        batch_size (int): images a step, on each rank.
        num_classes (int): classes, the background included.
        is_train (bool): make the training pipeline instead of the validation pipeline.
        augment (bool): augment training samples by random scale, crop and flips.
        eval_resize (bool): leave validation labels in the masks' own size.
        split (float): fraction of the sorted names that trains; 1.0 reads ``train/`` and ``val/``.
        rank, group_size (int): this process's share of the training samples.
        shuffle (bool): draw training samples in random order.
        num_channels (int): 1 reads gray, 3 reads blue, green, red, others read the bands of the files.
        do_crop (list[int]): [width, height] of the label for a network of valid convolutions; None or "None" for
            others.
        augmentation (Augmentation): used instead of ``augment``; also has patches, quarter turns and others.
        seed (int): seed of order and augmentation.

    Returns:
        Dataset of (N, num_channels, H, W) float32 images in [-1, 1] and (N, num_classes, h, w) float32 one-hot
        labels.

    Raises:
        UNetError: no data, missing files, a batch larger than the data set. A damaged image or mask is only found
            when it is read; the pipeline then raises a RuntimeError that names it.
    """
    augmentation = augmentation or Augmentation(on=augment)
    transform = FolderTransform(_geometry(img_size, do_crop, width_first=True), policy=augmentation.policy,
                                num_classes=num_classes)
    source = Source("folders", data_dir, num_channels, MaskOptions(num_classes), split=split)
    train, valid = open_samples(source, transform, TrainingOptions(augmentation, seed, shuffle), eval_resize)
    if not is_train:
        return validation_pipeline(valid, batch_size)
    return _epoch_pipeline(train, repeat, batch_size, rank, group_size)


def _geometry(img_size: list[int], do_crop: Crop, width_first: bool = False) -> Geometry:
    return Geometry.from_options(img_size, None if do_crop == "None" else do_crop, width_first)


def _epoch_pipeline(samples: TrainingSamples, repeat: int, batch_size: int, rank: int, group_size: int) -> Dataset:
    schedule = Schedule(len(samples), repeat, 1, batch_size, group_size)
    return training_pipeline(samples, schedule, schedule.steps_per_epoch, rank)


def _rank_and_group_size():
    from mindspore.communication import get_group_size, get_rank

    return get_rank(), get_group_size()
