"""Samples as the network takes them: protocol values, positions, sizes."""
import pickle

import cv2
import numpy as np
import pytest

from src.data.augment import Augmentation
from src.data.layouts import Source
from src.data.mask_pixels import MaskOptions
from src.data.normalization import Normalization
from src.data.sample_transforms import FolderTransform, Geometry, StackTransform
from src.data.samples import TrainingOptions, TrainingSamples, ValidationSamples, create_samples, open_samples
from src.data.transforms import to_unit_range
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from tests.support.data import write_pairs


class Reader(list):
    def name(self, index):
        return f"number {index}"


def numbered(count=6, size=(8, 8)):
    """Image k is gray k everywhere."""
    return Reader((np.full(size, k, np.uint8), np.full(size, k % 2, np.uint8)) for k in range(count))


def numbered_samples(count=6, seed=1, shuffle=True, **augmentation):
    return TrainingSamples(numbered(count), range(count), StackTransform(Geometry((8, 8), (8, 8))), 2,
                           TrainingOptions(Augmentation(**{"on": False, **augmentation}), seed, shuffle))


def stack_samples(data, geometry, augmentation=None, seed=1, input_min=-1):
    return open_samples(Source("ISBI", data), StackTransform(geometry, Normalization(input_min=input_min)),
                        TrainingOptions(augmentation or Augmentation(), seed))


def folder_samples(data, geometry, keep_label_size=False, augmentation=None, **source):
    transform = FolderTransform(geometry, num_classes=source.get("masks", MaskOptions()).num_classes)
    return open_samples(Source("folders", data, num_channels=3, **source), transform,
                        TrainingOptions(augmentation or Augmentation()), keep_label_size)


def number(sample):
    return round((float(sample[0].mean()) + 1) * 127.5)


def test_training_samples_as_validation():
    """In order, whole, without augmentation and weights: what validation makes of the same images."""
    samples = TrainingSamples(numbered(), [4, 2, 1], StackTransform(Geometry((8, 8), (8, 8))), 2,
                              TrainingOptions(Augmentation(on=True, crop=4, rot90=True), border_w0=10.0))
    view = samples.as_validation()
    expected = ValidationSamples(numbered(), [4, 2, 1], samples.transform, 2)
    assert [view.name(k) for k in range(len(view))] == ["number 4", "number 2", "number 1"]
    for k in range(3):
        for found, wanted in zip(view[k], expected[k]):
            np.testing.assert_array_equal(found, wanted)
            assert found.dtype == wanted.dtype
    assert samples.as_validation(keep_label_size=True).keep_label_size


# ---- the published protocol


def test_isbi_protocol_with_crop(isbi):
    """Resized to the crop and padded with zeros; the label cut out of the middle."""
    geometry = Geometry.from_options([572, 572], [388, 388])
    _, valid = stack_samples(isbi, geometry)
    image, classes = valid[0]
    assert image.shape == (1, 572, 572) and image.dtype == np.float32 and classes.shape == (388, 388)
    raw, raw_classes = valid.reader[6]      # the fold's first slice
    inner = image[0, 92:480, 92:480]
    np.testing.assert_allclose(inner, cv2.resize(to_unit_range(raw), (388, 388)), atol=1e-6)
    assert image.sum() == pytest.approx(inner.sum(), abs=0.01) and not image[0, :92].any()
    np.testing.assert_array_equal(classes, cv2.resize(raw_classes.astype(np.float32), (388, 388)) > 0.5)
    assert valid.name(0) == "slice 6"


def test_isbi_protocol_without_crop(isbi):
    image, classes = stack_samples(isbi, Geometry.from_options([576, 576], None))[1][0]
    assert image.shape == (1, 576, 576) and classes.shape == (576, 576)
    assert image.min() >= -1 and image.max() <= 1 and set(np.unique(classes)) == {0, 1}


def test_folder_protocol(nuclei):
    _, valid = folder_samples(nuclei, Geometry.from_options([32, 16], width_first=True), split=0.8)
    image, classes = valid[0]
    assert image.shape == (3, 16, 32) and classes.shape == (16, 32)     # the options say [width, height]
    raw, _ = valid.reader[valid.indices[0]]
    expected = (cv2.resize(raw, (32, 16)).astype(np.float32) - 127.5) / 127.5
    np.testing.assert_allclose(image, expected.transpose(2, 0, 1), atol=1e-6)
    assert len(valid) == 2 and valid.name(0) == "0008"


def test_labels_keep_their_size_for_eval_resize(nuclei):
    _, valid = folder_samples(nuclei, Geometry.from_options([32, 16], width_first=True), keep_label_size=True)
    assert valid[0][0].shape == (3, 16, 32) and valid[0][1].shape == (40, 48)


def test_folders_with_valid_convolutions(nuclei):
    geometry = Geometry.from_options([200, 188], [16, 4], width_first=True)
    train, valid = folder_samples(nuclei, geometry)
    assert valid[0][0].shape == (3, 188, 200) and valid[0][1].shape == (4, 16)
    assert train[0][0].shape == (3, 188, 200) and train[0][1].shape == (2, 4, 16)


# ---- positions


def test_a_pass_takes_every_sample_once_and_passes_differ():
    samples = numbered_samples()
    passes = [[number(samples[6 * p + i]) for i in range(6)] for p in range(4)]
    assert all(sorted(one) == list(range(6)) for one in passes)
    assert len({tuple(one) for one in passes}) > 1


def test_order_of_the_reader_without_shuffle():
    samples = numbered_samples(shuffle=False)
    assert [number(samples[i]) for i in range(12)] == [*range(6), *range(6)]


def test_a_sample_depends_on_seed_and_position_alone(sample):
    def samples(seed=1):
        augmentation = Augmentation(on=True, crop=32, rot90=True, elastic=True)
        return stack_samples(sample, Geometry((96, 96), (96, 96)), augmentation=augmentation, seed=seed)[0]
    first, second = samples(), samples()
    for position in (17, 3, 17):
        np.random.seed(position)
        _ = second[position + 1]
        for one, other in zip(first[position], second[position]):
            np.testing.assert_array_equal(one, other)
    assert np.abs(first[3][0] - samples(seed=2)[3][0]).max() > 0
    # Every pass augments a slice anew.
    assert len({first[position][0].tobytes() for position in range(24)}) == 24


def test_gray_values_alone(sample):
    """Each image differs, and stays in its range; its label stays the same."""
    plain, gray = (stack_samples(sample, Geometry((96, 96), (96, 96)), input_min=0,
                                 augmentation=Augmentation(on=False, gray=on))[0] for on in (False, True))
    for position in range(5):
        (image, label), (changed, same) = plain[position], gray[position]
        np.testing.assert_array_equal(same, label)
        assert changed.dtype == np.float32 and changed.min() >= 0 and changed.max() <= 1
        inside = (changed > 0) & (changed < 1)
        slope, shift = np.polyfit(image[inside], changed[inside], 1)
        assert slope != 1 and np.abs(slope * image + shift - changed)[inside].max() < 1e-5


def test_flips_alone(sample):
    """Each sample is its slice, turned over in one of four ways; all of them come."""
    plain = stack_samples(sample, Geometry((96, 96), (96, 96)), augmentation=Augmentation(on=False))[0]
    flipped = stack_samples(sample, Geometry((96, 96), (96, 96)), augmentation=Augmentation(on=False, flip=True))[0]
    ways = [(slice(None, None, down), slice(None, None, across)) for down in (1, -1) for across in (1, -1)]
    found = set()
    for position in range(20):
        image, label = plain[position]
        for k, way in enumerate(ways):
            if np.array_equal(image[(slice(None), *way)], flipped[position][0]):
                found.add(k)
                np.testing.assert_array_equal(label[(slice(None), *way)], flipped[position][1])
                break
        else:
            raise AssertionError(f"sample {position} is no flip of its slice")
    assert found == {0, 1, 2, 3}


def test_numpy_positions(sample):
    samples = stack_samples(sample, Geometry((96, 96), (96, 96)))[0]
    np.testing.assert_array_equal(samples[np.int64(5)][0], samples[5][0])


# ---- sizes


@pytest.mark.parametrize("crop, image_shape, label_shape", [
    (0, (1, 200, 200), (2, 16, 16)), (190, (1, 190, 190), (2, 6, 6))])
def test_patches_of_valid_convolutions(sample, crop, image_shape, label_shape):
    samples, _ = stack_samples(sample, Geometry((200, 200), (16, 16)), augmentation=Augmentation(crop=crop))
    assert (samples.image_shape, samples.label_shape) == (image_shape, label_shape)
    assert samples[1][0].dtype == samples[1][1].dtype == np.float32
    assert samples[1][0].flags["C_CONTIGUOUS"] and samples[1][1].flags["C_CONTIGUOUS"]


def test_labels_are_one_hot(nuclei):
    samples, _ = folder_samples(nuclei, Geometry((32, 32), (32, 32)))
    np.testing.assert_array_equal(samples[0][1].sum(axis=0), 1)


def test_patch_larger_than_the_image(sample):
    with pytest.raises(UNetError, match="train_crop 128 is larger than the image, which image_size makes 96x96"):
        stack_samples(sample, Geometry((96, 96), (96, 96)), augmentation=Augmentation(crop=128))


def test_crop_larger_than_the_image():
    with pytest.raises(UNetError, match="crop .* is larger than image_size"):
        Geometry.from_options([100, 100], [101, 100])


def test_scale(sample, nuclei):
    """Stacks of 96x96 shrunk to 72x72; images of 40x48 (height x width) to 20x96, of the same area."""
    assert stack_samples(sample, Geometry((172, 172), (72, 72)))[0].scale() == 0.75
    assert folder_samples(nuclei, Geometry.from_options([96, 20], width_first=True))[0].scale(most=2) == 1.0


def test_padding_takes_part_in_no_class_of_its_own(sample):
    """The label of valid convolutions shows the whole slice and nothing of the padding."""
    _, valid = stack_samples(sample, Geometry((300, 300), (96, 96)))
    image, classes = valid[0]
    np.testing.assert_array_equal(classes, valid.reader[valid.indices[0]][1])
    np.testing.assert_allclose(image[0, 102:198, 102:198], to_unit_range(valid.reader[valid.indices[0]][0][..., 0]),
                               atol=1e-6)


# ---- from the options


@pytest.mark.parametrize("argv", [["--border_weight=True"], ["--augmentation=membrane"], []])
def test_samples_can_be_sent_to_processes(nuclei, argv):
    """Without what the cache holds."""
    config = parse_options([f"--data_path={nuclei}", "--dataset=folders", "--num_channels=3", "--image_size=[96,96]",
                            *argv], "")
    parts = create_samples(config)
    first = [part[1] for part in parts]
    sent = pickle.dumps(parts)
    assert len(sent) < 5000
    for part, expected in zip(pickle.loads(sent), first):
        for one, other in zip(part[1], expected):
            np.testing.assert_array_equal(one, other)


def test_create_samples(sample, nuclei):
    config = parse_options([f"--data_path={sample}", "--image_size=[96,96]"], "")
    train, valid = create_samples(config)
    assert (len(train), len(valid)) == (8, 2) and isinstance(valid, ValidationSamples)
    config = parse_options([f"--data_path={nuclei}", "--image_size=[48,32]", "--dataset=folders",
                            "--num_channels=3"], "")
    train, valid = create_samples(config)
    assert (len(train), len(valid), train.image_shape) == (8, 2, (3, 32, 48))
    assert isinstance(train.transform, FolderTransform)


def test_stacks_for_three_channels(sample):
    train, _ = create_samples(parse_options([f"--data_path={sample}", "--num_channels=3", "--image_size=[96,96]",
                                            "--train_augment=False"], ""))
    image, _ = train[0]
    assert image.shape == (3, 96, 96) and (image == image[:1]).all()


def test_many_classes(tmp_path):
    write_pairs(tmp_path, ["a", "b"], classes=9)
    train, valid = folder_samples(tmp_path, Geometry((40, 48), (40, 48)), split=0.5, masks=MaskOptions(9),
                                  augmentation=Augmentation(on=False))
    assert train[0][1].shape == (9, 40, 48)
    np.testing.assert_array_equal(train[0][1].argmax(axis=0), train.reader[0][1])
