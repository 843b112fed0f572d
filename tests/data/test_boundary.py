"""The target boundary: background, interior and rim."""
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data import notices
from src.data.border_weights import split_weights
from src.data.boundary import BoundaryReader, boundary_classes, objects_of
from src.data.channels import Channels
from src.data.class_values import IGNORED
from src.data.folders import image_folders
from src.data.image_mask_pairs import PairReader
from src.data.mask_pixels import MaskOptions
from src.data.normalization import AS_PUBLISHED
from src.data.reader import NormalizedReader
from src.data.samples import create_samples
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError

TOUCHING = np.zeros((16, 24), np.uint8)     # two objects of 12x10 that touch
TOUCHING[2:14, 2:12], TOUCHING[2:14, 12:22] = 1, 2


def write(folder, name, labels, mask=None):
    """A folder data set of one sample, with labels.tif unless ``labels`` is None."""
    (folder / name).mkdir(parents=True)
    mask = (labels > 0) * np.uint8(255) if mask is None else mask
    Image.fromarray(np.zeros((*mask.shape, 3), np.uint8)).save(folder / name / "image.png")
    Image.fromarray(mask).save(folder / name / "mask.png")
    if labels is not None:
        tifffile.imwrite(folder / name / "labels.tif", labels)
    return folder


def reader_of(folder):
    return PairReader(image_folders(folder), Channels(3), MaskOptions())


def test_rim_by_hand():
    """Two pixels at each side of an object, also where two touch; at the border of the image there is none."""
    row = np.array([[1] * 6 + [2] * 7 + [0, 0]])
    classes = boundary_classes((row > 0).astype(np.uint8), row)
    assert classes.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 2, 2, 0, 0]]


def test_ignored_pixels_stay_ignored():
    classes = np.array([[0, 1, 1, 1, 1, 1, 1, IGNORED]], np.uint8)
    assert boundary_classes(classes, objects_of(classes)).tolist() == [[0, 2, 2, 1, 1, 2, 2, IGNORED]]


def test_objects_without_numbers_are_connected_by_sides():
    classes = np.array([[1, 0, 1], [0, 1, 1]], np.uint8)
    assert objects_of(classes).tolist() == [[1, 0, 2], [0, 2, 2]]


def test_numbers_of_labels_tif_divide_what_touches(tmp_path):
    reader = reader_of(write(tmp_path, "a", TOUCHING))
    np.testing.assert_array_equal(reader.instances(0), TOUCHING)
    classes = BoundaryReader(NormalizedReader(reader, AS_PUBLISHED))[0][1]
    assert (classes[4:12, 10:14] == 2).all() and (classes[4:12, 4:10] == 1).all() and not classes[TOUCHING == 0].any()
    reader = reader_of(write(tmp_path / "b", "a", None, (TOUCHING > 0) * np.uint8(255)))
    without = BoundaryReader(NormalizedReader(reader, AS_PUBLISHED))[0][1]
    assert (without[4:12, 10:14] == 1).all()


def test_objects_in_parts_are_said(tmp_path, caplog):
    caplog.set_level("INFO", "unet")
    notices._said.clear()
    labels = np.where(TOUCHING == 2, 1, TOUCHING)
    labels[:, 10:14] = 0
    assert reader_of(write(tmp_path, "a", labels)).instances(0).max() == 1
    assert "labels.tif: the pixels of an object are not connected; its parts count as one object" in caplog.text


@pytest.mark.parametrize(("labels", "words"), [
    (np.ones((3, 4), np.uint8), "an image of 24x16 whole numbers from 0"),
    (np.where(TOUCHING == 2, 0, TOUCHING), "120 foreground pixels of mask.png are of no object"),
    (np.zeros((16, 24, 3), np.uint8) + np.arange(3, dtype=np.uint8), "expected the numbers of the objects in mask.png"),
])
def test_labels_that_do_not_fit_are_refused(tmp_path, labels, words):
    folder = write(tmp_path, "a", labels, (TOUCHING > 0) * np.uint8(255))
    with pytest.raises(UNetError, match=words) as caught:
        reader_of(folder).instances(0)
    assert "labels.tif" in str(caught.value)


def samples(tmp_path, *argv):
    for name in "abcd":
        write(tmp_path, name, TOUCHING)
    return create_samples(parse_options(["--dataset=folders", f"--data_path={tmp_path}", "--num_channels=3",
                                         "--target=boundary", "--train_augment=False", *argv], ""))


def test_training_has_three_classes_and_validation_those_of_the_masks(tmp_path):
    train, valid = samples(tmp_path, "--image_size=[24, 16]", "--border_weight=True")
    label = train[0][1]
    assert label.shape == (4, 16, 24) and (label[:3].sum(axis=0) == 1).all() and label[2].any()
    assert valid.num_classes == 2 and set(np.unique(valid[0][1])) == {0, 1}
    np.testing.assert_array_equal(valid.own_objects(0), TOUCHING)
    again = train.as_validation()
    np.testing.assert_array_equal(again[0][1], TOUCHING > 0)
    np.testing.assert_array_equal(again.own_objects(0), TOUCHING)
    assert split_weights(again.reader[0][1])[1] is None


def test_masks_of_more_classes_are_refused(tmp_path):
    with pytest.raises(UNetError, match="target boundary divides the foreground of two classes"):
        samples(tmp_path, "--num_classes=3")
