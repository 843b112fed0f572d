"""Patches of images in their own sizes: where they are, and that they depend on seed and position alone."""
import pickle
from collections import Counter
from functools import cached_property

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from src.data import window_reader
from src.data.augment import Augmentation
from src.data.normalization import Normalization
from src.data.patches import Patches, PatchOptions
from src.data.samples import all_entries, create_samples, create_validation_samples
from src.data.synthetic_cells import make_cells
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from tests.support.data import write_pairs

PLAIN = Augmentation(on=False)


class Reader:
    """One image of which each number is the place of its pixel; its classes are given."""

    def __init__(self, classes):
        self.classes = classes
        self.numbers = np.arange(classes.size, dtype=np.float32).reshape(*classes.shape, 1)

    def size(self, index):
        return self.classes.shape

    def window(self, index, window):
        return self.numbers[window], self.classes[window]

    @cached_property
    def places(self):
        return [np.flatnonzero(self.classes == number).astype(np.uint32) for number in range(1, 255)
                if (self.classes == number).any()]

    def positions(self, index):
        return self.places


def patches(classes, size, label_size=None, foreground=0.0, augmentation=PLAIN):
    return Patches(Reader(np.asarray(classes, np.uint8)), Normalization("minmax"),
                   PatchOptions(size, label_size or size, foreground), augmentation)


def draw(source, seed=0):
    image, classes = source.draw(0, np.random.default_rng(seed))
    return image[..., 0], classes


# ---- where they are


def test_small_images_are_mirrored_to_the_size_of_a_patch():
    image, classes = draw(patches([[0, 1, 2]], (3, 7)))
    np.testing.assert_array_equal(image, [[2, 1, 0, 1, 2, 1, 0]] * 3)
    np.testing.assert_array_equal(classes, image)
    image, _ = draw(patches([[0, 1], [2, 3]], (1, 4)))      # one row at random, and all columns in the middle
    assert image.tolist() in ([[1, 0, 1, 0]], [[3, 2, 3, 2]])


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.tuples(st.integers(1, 20), st.integers(1, 20)),
       st.integers(0, 99))
def test_a_patch_is_a_part_of_the_endlessly_mirrored_image(image_size, size, seed):
    source = patches(np.zeros(image_size), size)
    image, classes = draw(source, seed)
    assert image.shape == classes.shape == size
    pads = [max(0, -((length - side) // 2)) for length, side in zip(image_size, size)]
    mirrored = np.pad(source.reader.numbers[..., 0], [(pad, pad + 1) for pad in pads], mode="reflect")
    places = [(row, column) for row in range(mirrored.shape[0] - size[0] + 1)
              for column in range(mirrored.shape[1] - size[1] + 1)]
    assert any((mirrored[row:row + size[0], column:column + size[1]] == image).all() for row, column in places)


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.tuples(st.integers(1, 24), st.integers(1, 24)),
       st.integers(0, 8), st.integers(0, 99))
def test_augmented_patches_read_only_the_image(image_size, label_size, margin, seed):
    """Mirrored pixels are those of the image: no number is there that is not in it, whatever the sizes."""
    size = label_size[0] + margin, label_size[1] + margin
    everything = Augmentation(on=True, rot90=True, scale=(0.5, 2.0), rotate=True, elastic=True)
    source = patches(np.random.default_rng(seed).integers(1, 5, image_size), size, label_size, 0.5, everything)
    image, classes = draw(source, seed)
    assert image.shape == classes.shape == size
    assert set(np.unique(classes)) <= set(np.unique(source.reader.classes))
    assert image.min() >= 0 and image.max() <= source.reader.numbers.max()


def test_every_place_is_as_likely():
    source = patches(np.zeros((4, 5)), (3, 3))
    found = Counter(int(draw(source, seed)[0][0, 0]) for seed in range(1200))
    assert found.keys() == {0, 1, 2, 5, 6, 7} and min(found.values()) > 150


def test_foreground_patches_are_centred_on_a_pixel_of_a_class():
    classes = np.zeros((40, 40))
    classes[20, 30] = 1
    for size in ((5, 5), (4, 6)):
        for seed in range(20):
            found = draw(patches(classes, size, foreground=1.0), seed)[1]
            assert found[size[0] // 2, size[1] // 2] == 1
    classes[:] = 0
    classes[0, 39] = 1      # at the border as near as the image allows
    assert draw(patches(classes, (5, 5), foreground=1.0))[1][0, 4] == 1


def test_classes_are_as_likely_however_large():
    classes = np.zeros((40, 40))
    classes[5:35, 5:35] = 1
    classes[10, 10] = 2
    source = patches(classes, (3, 3), foreground=1.0)
    middle = [int(draw(source, seed)[1][1, 1]) for seed in range(400)]
    assert np.mean(np.equal(middle, 2)) == pytest.approx(0.5, abs=0.08)


def test_share_of_foreground_patches():
    classes = np.zeros((100, 100))
    classes[50, 50] = 1
    source = patches(classes, (5, 5), foreground=0.33)
    found = [draw(source, seed)[1][2, 2] for seed in range(1000)]
    assert np.mean(found) == pytest.approx(0.33, abs=0.05)
    assert draw(patches(np.zeros((9, 9)), (5, 5), foreground=1.0))[1].shape == (5, 5)      # only background


def test_labels_of_valid_convolutions_reach_the_borders_of_the_image():
    """The label lies in the image, the patch is larger: what it shows beyond the image is mirrored."""
    source = patches(np.zeros((6, 6)), (8, 8), (4, 4))
    assert source.margin == (4, 4)
    corners = {int(draw(source, seed)[0][2, 2]) for seed in range(200)}
    assert corners == {6 * row + column for row in range(3) for column in range(3)}


# ---- samples of a data set


OPTIONS = ["--dataset=folders", "--num_channels=3", "--image_size=native", "--train_crop=16"]


@pytest.fixture(scope="module")
def unequal(tmp_path_factory):
    """Images of three sizes, one smaller than a patch."""
    folder = tmp_path_factory.mktemp("unequal")
    for number, size in enumerate([(40, 48), (24, 64), (33, 20), (40, 48), (40, 40)]):
        write_pairs(folder, [f"{number}"], size, seed=number)
    return folder


def samples(data, *argv):
    return create_samples(parse_options([*OPTIONS, f"--data_path={data}", *argv], ""))


def test_validation_keeps_the_sizes_of_images_and_masks(unequal):
    train, valid = samples(unequal, "--split=0.4")
    assert (len(train), len(valid)) == (2, 3)
    assert [valid[k][0].shape for k in range(3)] == [(3, 33, 20), (3, 40, 48), (3, 40, 40)]
    assert [valid[k][1].shape for k in range(3)] == [(33, 20), (40, 48), (40, 40)]
    raw, classes = valid.reader[2]
    np.testing.assert_array_equal(valid[0][0], raw.transpose(2, 0, 1))
    np.testing.assert_array_equal(valid[0][1], classes)
    np.testing.assert_array_equal(valid.pixels(0, (33, 20)), raw[..., ::-1])
    assert train.scale() == 1.0
    view = train.as_validation()
    assert len(view) == 2 and view[0][0].shape == (3, 40, 48)


def test_an_epoch_has_some_patches_of_each_image(unequal):
    train, _ = samples(unequal, "--patches_per_image=3")
    drawn = []
    train.source.draw = lambda index, rng: drawn.append(index) or (np.zeros((16, 16, 3), np.float32),
                                                                   np.zeros((16, 16), np.uint8))
    for position in range(2 * len(train)):
        train[position]
    assert len(train) == 12
    assert all(Counter(part) == dict.fromkeys(range(4), 3) for part in (drawn[:12], drawn[12:]))
    assert drawn[:12] != drawn[12:]


@pytest.mark.parametrize("argv", [
    [], ["--augmentation=strong"], ["--train_augment=False"],
    ["--border_weight=True", "--augment_rotate=True", "--train_crop=[16, 32]", "--augment_rot90=True"],
    ["--normalize=zscore", "--augment_scale=[0.7, 1.4]", "--augment_noise=True", "--augment_elastic=True"]])
def test_a_sample_depends_on_seed_and_position_alone(unequal, argv):
    """Whatever was drawn before, in this process or another one, with or without memory for the images."""
    argv = [*argv, "--patches_per_image=2", "--foreground_patches=0.5"]
    train, _ = samples(unequal, *argv)
    in_order = [train[position] for position in range(12)]
    others = [pickle.loads(pickle.dumps(train)), samples(unequal, "--cache_mb=0", *argv)[0]]
    for other in others:
        for position in (7, 0, 7, 11):
            for found, expected in zip(other[position], in_order[position]):
                np.testing.assert_array_equal(found, expected)
    again = samples(unequal, *argv, "--seed=2")[0]
    assert any((again[position][0] != in_order[position][0]).any() for position in range(4))


def test_stacks(sample):
    train, valid = create_samples(parse_options(
        ["--image_size=native", "--train_crop=[32, 48]", f"--data_path={sample}", "--border_weight=True"], ""))
    image, label = train[0]
    assert image.shape == (1, 32, 48) and label.shape == (3, 32, 48) and (label[:2].sum(axis=0) == 1).all()
    assert label[2].min() >= 1
    assert valid[0][0].shape == (1, 96, 96) and valid[0][1].shape == (96, 96)


@pytest.mark.parametrize("options", [["--border_weight=True"], ["--target=boundary"],
                                     ["--border_weight=True", "--target=boundary"]], ids=" ".join)
@pytest.mark.parametrize("layout", ["image_mask", "folders"])
def test_objects_with_numbers_are_read_in_windows(tmp_path, monkeypatch, layout, options):
    """Rims and weights of a window are those of the whole mask, whether its file or labels.tif numbers the objects."""
    for number in range(3):
        image, objects = make_cells(200, np.random.default_rng(number))
        objects[30:34, 20:180] = objects.max() + 1      # which other objects do not divide
        if layout == "image_mask":
            for name, pixels in (("image", image), ("mask", objects)):
                (tmp_path / name).mkdir(exist_ok=True)
                tifffile.imwrite(tmp_path / name / f"{number}.tif", pixels)
        else:
            (tmp_path / str(number)).mkdir()
            for name, pixels in (("image.png", image), ("mask.png", (objects > 0) * np.uint8(255))):
                cv2.imwrite(str(tmp_path / str(number) / name), pixels)
            tifffile.imwrite(tmp_path / str(number) / "labels.tif", objects)
    argv = [f"--dataset={layout}", "--num_channels=1", "--augment_rotate=True", "--foreground_patches=0.5", *options]
    whole = samples(tmp_path, *argv)[0]
    parts = samples(tmp_path, *argv, "--cache_mb=0")[0]
    monkeypatch.setattr(type(parts.reader.stored_reader), "instances", None)        # of whole masks
    monkeypatch.setattr(window_reader, "BAND", 1000)
    found = [parts[position] for position in range(8)]
    monkeypatch.undo()
    for position in range(8):
        for one, expected in zip(found[position], whole[position]):
            np.testing.assert_array_equal(one, expected)


def test_patches_of_large_tiff_files_are_read_in_windows(tmp_path, monkeypatch):
    """They are those that are cut out of the whole file."""
    rng = np.random.default_rng(0)
    for number in range(3):
        for name, pixels in (("image", rng.integers(0, 4000, (150, 130), dtype=np.uint16)),
                             ("mask", rng.integers(0, 2, (150, 130), dtype=np.uint8) * 255)):
            (tmp_path / name).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / name / f"{number}.tif", pixels, tile=(64, 64) if name == "image" else None,
                             compression="zlib" if number else None)
    argv = ["--dataset=image_mask", "--num_channels=1", "--augment_rotate=True", "--foreground_patches=0.5"]
    whole = samples(tmp_path, *argv)[0]
    monkeypatch.setattr(window_reader, "LARGE", 1000)
    parts = samples(tmp_path, *argv)[0]
    monkeypatch.setattr(type(parts.reader.stored_reader), "__getitem__", None)       # nothing is read as a whole
    for position in range(6):
        for found, expected in zip(parts[position], whole[position]):
            np.testing.assert_array_equal(found, expected)
    weighted = samples(tmp_path, *argv, "--border_weight=True")[0]
    with pytest.raises(UNetError, match="0 megapixels, and its mask does not number its objects; border_weight"):
        weighted[0]


def test_the_index_of_folds_needs_no_pixels(unequal):
    assert all_entries(parse_options([*OPTIONS, f"--data_path={unequal}"], "")) == [f"{k}/image.png" for k in range(5)]


def test_validation_needs_no_options_of_the_training(unequal):
    argv = ["--train_crop=0", "--augmentation=membrane", f"--data_path={unequal}"]
    valid = create_validation_samples(parse_options([*OPTIONS, *argv], ""))
    assert [valid[k][0].shape for k in range(len(valid))] == [(3, 40, 40)]


@pytest.mark.parametrize("argv, words", [
    (["--train_crop=0"], "image_size native trains on patches of the images; give their size with train_crop"),
    (["--augmentation=membrane"], "augmentation membrane is for images that are resized"),
    (["--image_size=[32,32]", "--augmentation=strong"], "augmentation strong is for patches"),
    (["--image_size=[32,32]", "--augment_rotate=True"], "augment_rotate is True, which is for patches"),
    (["--image_size=[32,32]", "--augment_scale=[1,2]"], r"augment_scale is \[1.0, 2.0\], which is for patches"),
    (["--image_size=[32,32]", "--patches_per_image=2"], "patches_per_image is 2, which is for image_size native"),
    (["--augment_scale=[2,1]"], r"augment_scale \[2.0, 1.0\]: expected the smallest and the largest factor"),
    (["--augment_scale=[2]"], r"augment_scale \[2.0\]: expected"),
    (["--crop=[32,8]"], r"crop \[32, 8\] is larger than train_crop \[16, 16\]")])
def test_options_that_do_not_fit_together(unequal, argv, words):
    with pytest.raises(UNetError, match=words):
        samples(unequal, *argv)
