"""The two functions that the model zoo's users know, and the pipelines behind them."""
import inspect

import numpy as np
import pytest

from src.data.augment import Augmentation
from src.data.layouts import Source
from src.data.pipeline import training_batches, training_pipeline
from src.data.sample_transforms import Geometry, StackTransform
from src.data.samples import TrainingOptions, open_samples
from src.data.schedule import Schedule
from src.data_loader import create_dataset, create_multi_class_dataset
from src.model_utils.errors import UNetError
from tests.support.data import write_pairs
from tests.support.scripts import run_code


def batches(dataset, epochs=1):
    iterator = dataset.create_dict_iterator(num_epochs=epochs, output_numpy=True)
    return [[batch for batch in iterator] for _ in range(epochs)]


def test_argument_names_and_order():
    names = [name for name, p in inspect.signature(create_dataset).parameters.items() if p.kind != p.KEYWORD_ONLY]
    assert names == ["data_dir", "repeat", "train_batch_size", "augment", "cross_val_ind", "run_distribute", "do_crop",
                     "img_size"]
    names = [name for name, p in inspect.signature(create_multi_class_dataset).parameters.items()
             if p.kind != p.KEYWORD_ONLY]
    assert names == ["data_dir", "img_size", "repeat", "batch_size", "num_classes", "is_train", "augment",
                     "eval_resize", "split", "rank", "group_size", "shuffle"]


@pytest.mark.parametrize("crop, image, label", [("None", 96, 96), (None, 96, 96), ([16, 16], 200, 16)])
def test_create_dataset(sample, crop, image, label):
    train, valid = create_dataset(str(sample), 3, 4, True, 1, False, crop, [image, image])
    assert (train.get_dataset_size(), valid.get_dataset_size()) == (6, 2)
    (first, second) = batches(train, 2)
    assert len(first) == len(second) == 6
    for batch in first:
        assert batch["image"].shape == (4, 1, image, image) and batch["mask"].shape == (4, 2, label, label)
        assert batch["image"].dtype == batch["mask"].dtype == np.float32
        assert np.abs(batch["image"]).max() <= 1
        np.testing.assert_array_equal(batch["mask"].sum(axis=1), 1)
    # Each epoch augments anew.
    assert not any((one["image"] == other["image"]).all() for one, other in zip(first, second))
    (rows,) = batches(valid)
    assert [row["image"].shape for row in rows] == [(1, 1, image, image)] * 2
    assert rows[0]["mask"].shape == (1, 2, label, label)


def test_without_augmentation_every_slice_comes_repeat_times(sample):
    train, _ = create_dataset(str(sample), 3, 4, False, 1, False, None, [96, 96])
    (rows,) = batches(train)
    seen = {}
    for image in np.concatenate([batch["image"] for batch in rows]):
        seen[image.tobytes()] = seen.get(image.tobytes(), 0) + 1
    assert sorted(seen.values()) == [3] * 8


def test_create_multi_class_dataset(nuclei):
    options = {"num_classes": 2, "split": 0.8}
    train = create_multi_class_dataset(str(nuclei), [48, 32], 2, 4, is_train=True, augment=True, **options)
    (rows,) = batches(train)
    assert len(rows) == 4 and rows[0]["image"].shape == (4, 3, 32, 48) and rows[0]["mask"].shape == (4, 2, 32, 48)
    valid = create_multi_class_dataset(str(nuclei), [48, 32], 2, 1, shuffle=False, **options)
    (rows,) = batches(valid)
    assert len(rows) == 2     # repeat is for training
    resized = create_multi_class_dataset(str(nuclei), [48, 32], 1, 1, eval_resize=True, **options)
    assert batches(resized)[0][0]["mask"].shape == (1, 2, 40, 48)


def test_repeat_counts_in_both_kinds_of_split(tmp_path):
    write_pairs(tmp_path / "train", ["a", "b", "c"])
    write_pairs(tmp_path / "val", ["d"])
    train = create_multi_class_dataset(str(tmp_path), [32, 32], 4, 2, is_train=True, split=1.0)
    assert train.get_dataset_size() == 6 == len(batches(train)[0])


def test_many_classes(tmp_path):
    write_pairs(tmp_path, ["a", "b", "c"], classes=20)
    train = create_multi_class_dataset(str(tmp_path), [48, 40], 1, 2, num_classes=20, is_train=True, augment=True)
    assert batches(train)[0][0]["mask"].shape == (2, 20, 40, 48)


def test_ranks_of_the_folder_data_set_are_disjoint(nuclei):
    seen = [set() for _ in range(2)]
    for rank in range(2):
        dataset = create_multi_class_dataset(str(nuclei), [48, 40], 1, 2, is_train=True, rank=rank, group_size=2)
        for batch in batches(dataset)[0]:
            seen[rank] |= {image.tobytes() for image in batch["image"]}
    assert len(seen[0]) == len(seen[1]) == 4 and not seen[0] & seen[1]


def images(dataset, epochs=1):
    """The bytes of the batches of each epoch of a new iterator."""
    iterator = dataset.create_dict_iterator(num_epochs=epochs, output_numpy=True)
    return [[batch["image"].tobytes() for batch in iterator] for _ in range(epochs)]


def test_each_iterator_and_each_epoch_is_a_new_pass(sample):
    """Other order, other augmentation; and the same in the next program, whatever it asks in between."""
    def passes(dataset):
        return [*images(dataset), *images(dataset, 2), *images(dataset)]

    def make():
        return create_dataset(str(sample), 1, 4, True, 1, False, "None", [96, 96])[0]
    first, again = make(), make()
    found = passes(first)
    assert len({batch for batches in found for batch in batches}) == 4 * 2
    again.get_dataset_size()
    assert passes(again) == found
    plain = create_dataset(str(sample), 1, 8, False, 1, False, "None", [96, 96])[0]
    assert images(plain) != images(plain)       # without augmentation the order is another


def test_an_iterator_that_is_left_early_changes_no_later_pass(sample):
    def second(read):
        dataset = create_dataset(str(sample), 1, 2, True, 1, False, "None", [96, 96])[0]
        iterator = dataset.create_dict_iterator(output_numpy=True)      # endless: MindSpore reads ahead
        for _ in range(read):
            next(iterator)
        return images(dataset)
    assert second(1) == second(4)


def test_validation_is_the_same_each_time(sample):
    valid = create_dataset(str(sample), 1, 1, False, 1, False, "None", [96, 96])[1]
    assert images(valid) == images(valid)


def test_create_dataset_as_in_the_first_release(sample):
    """Without sizes: those of its only network."""
    train, valid = create_dataset(str(sample), 1, 1, False, 1, False)
    for dataset in (train, valid):
        batch = next(dataset.create_dict_iterator(num_epochs=1, output_numpy=True))
        assert batch["image"].shape == (1, 1, 572, 572) and batch["mask"].shape == (1, 2, 388, 388)
    train, _ = create_dataset(str(sample), 1, 1, do_crop="None")
    assert train.output_shapes() == [[1, 1, 572, 572], [1, 2, 572, 572]]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_can_be_taken_up_anywhere(sample, workers, monkeypatch):
    """The batches from step 5 on are those of a run that began there, in a thread and in processes.

    The eleven batches come in three passes of 4 steps, the last of which is not used up.
    """
    monkeypatch.setattr("src.data.pipeline.MOST_STEPS_OF_A_PASS", 5)
    samples, _ = open_samples(Source("ISBI", sample), StackTransform(Geometry((96, 96), (96, 96))),
                              TrainingOptions(Augmentation(crop=32, rot90=True, elastic=True)))
    schedule = Schedule(len(samples), 3, 2, 3)
    (whole,) = batches(training_pipeline(samples, schedule, steps=16))
    rest = list(training_batches(samples, schedule, first_step=5, num_parallel_workers=workers))
    assert (len(whole), len(rest)) == (16, 11)
    for one, (image, mask) in zip(whole[5:], rest):
        np.testing.assert_array_equal(one["image"], image.asnumpy())
        np.testing.assert_array_equal(one["mask"], mask.asnumpy())


def test_batch_larger_than_the_data(sample, nuclei):
    with pytest.raises(UNetError, match="a batch of 9 is larger than the 8 training samples"):
        create_dataset(str(sample), 1, 9, img_size=[96, 96])
    with pytest.raises(UNetError, match="a batch of 99"):
        create_multi_class_dataset(str(nuclei), [48, 32], 1, 99, is_train=True)


@pytest.mark.slow
def test_memory_does_not_grow_with_repeat(isbi):
    """24 slices, repeat 400, batch 16 at 572x572: thirty batches through the pipeline, under 1 GB in all."""
    code = f"""
from src.data_loader import create_dataset
from src.model_utils.memory import peak_memory_gb
train, _ = create_dataset({str(isbi)!r}, 400, 16, True, 1, False, [388, 388], [572, 572])
assert train.get_dataset_size() == 600
for number, batch in enumerate(train.create_dict_iterator(num_epochs=1, output_numpy=True)):
    if number == 30:
        break
print(peak_memory_gb())
"""
    assert float(run_code(code).split()[-1]) < 1.0
