"""The steps of the data pipelines, of which users of the model zoo build their own."""
import numpy as np
import pytest

from src import data_loader
from src.data.tiff import write_stack
from src.model_utils.errors import UNetError


def test_load_multipage_tiff(tmp_path):
    stack = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write_stack(tmp_path / "a.tif", stack)
    np.testing.assert_array_equal(data_loader._load_multipage_tiff(tmp_path / "a.tif"), stack)


def test_indices_of_a_fold():
    """The published fold 1 of 30 slices; without a fold all of them train, in the same shuffled order."""
    train, valid = data_loader._get_val_train_indices(30, 1)
    assert valid.tolist() == [6, 4, 18, 19, 9, 7] and len(train) == 24
    everything, nothing = data_loader._get_val_train_indices(30, None)
    assert sorted(everything) == list(range(30)) and len(nothing) == 0
    assert [len(part) for part in data_loader._get_val_train_indices(30, 0, ratio=0.5)] == [15, 15]


def test_data_post_process():
    image, label = data_loader.data_post_process(np.full((2, 3), 0.5, np.float32), np.array([[0, 0.5, 0.6], [1, 0, 1]]))
    assert image.shape == (1, 2, 3) and image.dtype == label.dtype == np.float32
    assert label.tolist() == [[[1, 1, 0], [0, 1, 0]], [[0, 0, 1], [1, 0, 1]]]
    assert data_loader.data_post_process(np.zeros((2, 2)), np.zeros((2, 2)))[1].shape == (2, 2, 2)  # background only


def test_train_data_augmentation():
    """The image moves as its mask does, keeps its range, and differs from one call to the next; a seed repeats it."""
    mask = np.zeros((40, 60), np.float32)
    mask[10:20, 10:30] = 1
    calls = []
    for seed in (3, 4, 3):
        np.random.seed(seed)
        calls.append(data_loader.train_data_augmentation(2 * mask - 1, mask))
    for image, moved in calls:
        assert image.shape == moved.shape == mask.shape and image.dtype == moved.dtype == np.float32
        assert np.abs(image).max() <= 1 and set(np.unique(moved)) == {0, 1}
        assert ((image > 0) == (moved > 0)).mean() > 0.95
    assert (calls[0][0] == calls[2][0]).all() and (calls[0][0] != calls[1][0]).any()


def test_multi_class_dataset(nuclei):
    train = data_loader.MultiClassDataset(str(nuclei), 3, is_train=True)
    valid = data_loader.MultiClassDataset(str(nuclei), 3)
    assert (len(train), len(valid), train.column_names) == (24, 2, ["image", "mask"])
    image, mask = train[0]
    assert image.shape == (40, 48, 3) and mask.shape == (40, 48) and image.dtype == mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}         # as in the file
    assert sum(1 for _ in valid) == 2               # it can be iterated
    order = [mask.tobytes() for _, mask in train]
    assert order[:8] == order[8:16]
    np.random.seed(0)
    shuffled = [mask.tobytes() for _, mask in data_loader.MultiClassDataset(str(nuclei), 3, True, shuffle=True)]
    assert shuffled != order and sorted(shuffled) == sorted(order)
    with pytest.raises(UNetError, match="no such data folder"):
        data_loader.MultiClassDataset(str(nuclei / "none"), 1)


@pytest.mark.parametrize("high", [1, 2, 255])
def test_preprocess_two_classes(high):
    image = np.stack([np.full((4, 6), value, np.uint8) for value in (0, 127, 255)], axis=-1)
    mask = np.zeros((4, 6), np.uint8)
    mask[:, 3:] = high
    result, label = data_loader.preprocess_img_mask(image, mask, 2, (6, 4))
    np.testing.assert_allclose(result[:, 0, 0], [-1, -1 / 255, 1], atol=1e-6)
    assert result.shape == (3, 4, 6) and result.dtype == label.dtype == np.float32
    np.testing.assert_array_equal(label[1], mask > 0)
    np.testing.assert_array_equal(label[0], mask == 0)
    smaller, own = data_loader.preprocess_img_mask(image, mask, 2, (3, 2), eval_resize=True)
    assert smaller.shape == (3, 2, 3) and own.shape == (2, 4, 6)
    np.random.seed(0)
    moved, label = data_loader.preprocess_img_mask(image, mask, 2, (3, 2), augment=True, eval_resize=True)
    assert moved.shape == (3, 2, 3) and label.shape == (2, 2, 3)


def test_preprocess_many_classes():
    mask = np.repeat(np.arange(4, dtype=np.uint8), 8).reshape(4, 8)
    _, label = data_loader.preprocess_img_mask(np.zeros((4, 8, 3), np.uint8), mask, 5, (8, 4))
    np.testing.assert_array_equal(label.argmax(0), mask)
    assert label.shape == (5, 4, 8)
