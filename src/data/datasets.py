"""The two functions that give the MindSpore pipelines of a data set, as users of the model zoo know them."""
from src.data.pipeline import training_pipeline, validation_pipeline
from src.data.samples import Augmentation, Geometry, folder_samples, stack_samples
from src.data.schedule import Schedule
from src.model_utils.errors import UNetError


def create_dataset(data_dir, repeat=400, train_batch_size=16, augment=False, cross_val_ind=1, run_distribute=False,
                   do_crop=None, img_size=None, *, augmentation=None, seed=1):
    """Training and validation pipelines of one ISBI fold.

    Args:
        data_dir (str): folder of ``train-volume.tif`` and ``train-labels.tif``.
        repeat (int): passes over the training slices in one epoch.
        train_batch_size (int): slices a step, on each rank.
        augment (bool): flips, crop-and-resize, brightness.
        cross_val_ind (int): which of the five folds validates.
        run_distribute (bool): share the samples among the ranks of MindSpore's process group.
        do_crop (list[int]): [height, width] of the label for a network of valid convolutions; None for others.
        img_size (list[int]): [height, width] of the network's input.
        augmentation (Augmentation): patches, quarter turns and elastic deformation; takes ``augment``'s place.
        seed (int): seed of order and augmentation.

    Returns:
        tuple: (training Dataset, validation Dataset), each of (N, 1, H, W) float32 images in [-1, 1] and
        (N, 2, h, w) float32 one-hot labels; validation in batches of 1.

    Raises:
        UNetError: no img_size, no data, damaged stacks, too few slices, a batch larger than the data set.
    """
    if img_size is None:
        raise UNetError("no img_size; give [height, width] of the network's input")
    train, valid = stack_samples(data_dir, Geometry.from_options(img_size, do_crop), cross_val_ind,
                                 augmentation or Augmentation(on=augment), seed=seed)
    rank, group_size = _rank_and_group_size() if run_distribute else (0, 1)
    return _epoch_pipeline(train, repeat, train_batch_size, rank, group_size), validation_pipeline(valid)


def create_multi_class_dataset(data_dir, img_size, repeat, batch_size, num_classes=2, is_train=False, augment=False,
                               eval_resize=False, split=0.8, rank=0, group_size=1, shuffle=True, *, num_channels=3,
                               do_crop=None, augmentation=None, seed=1):
    """Training or validation pipeline of folders ``NAME/image.png``, ``NAME/mask.png``.

    Args:
        data_dir (str): the data set's folder.
        img_size (list[int]): [width, height] of the network's input.
        repeat (int): passes over the data in one epoch, of the training pipeline.
        batch_size (int): images a step, on each rank.
        num_classes (int): classes, the background included.
        is_train (bool): the training part, else the validation part.
        augment (bool): random scale, crop and flips, for training.
        eval_resize (bool): leave validation labels at the pictures' own size.
        split (float): fraction of the sorted names that trains; 1.0 reads ``train/`` and ``val/``.
        rank, group_size (int): this process's share of the training samples.
        shuffle (bool): draw training samples in random order.
        num_channels (int): 3 reads BGR as OpenCV does, 1 reads gray.
        do_crop (list[int]): [width, height] of the label for a network of valid convolutions; None for others.
        augmentation (Augmentation): patches, quarter turns and elastic deformation; takes ``augment``'s place.
        seed (int): seed of order and augmentation.

    Returns:
        Dataset of (N, num_channels, H, W) float32 images in [-1, 1] and (N, num_classes, h, w) float32 one-hot
        labels.

    Raises:
        UNetError: no data, missing files, a batch larger than the data set. A damaged image or mask is found
            when it is read, and ends the pipeline with a RuntimeError that names it.
    """
    train, valid = folder_samples(data_dir, Geometry.from_options(img_size, do_crop, swap=True), split,
                                  augmentation or Augmentation(on=augment), num_channels, num_classes, eval_resize,
                                  seed, shuffle)
    if not is_train:
        return validation_pipeline(valid, batch_size)
    return _epoch_pipeline(train, repeat, batch_size, rank, group_size)


def _epoch_pipeline(samples, repeat, batch_size, rank, group_size):
    schedule = Schedule(len(samples), repeat, 1, batch_size, group_size)
    return training_pipeline(samples, schedule, rank, steps=schedule.steps_per_epoch)


def _rank_and_group_size():
    from mindspore.communication import get_group_size, get_rank

    return get_rank(), get_group_size()
