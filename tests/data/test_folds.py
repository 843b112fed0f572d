"""Folds: disjoint, together the whole set, and the same whenever they are made."""
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from src.data.folds import create_folds, partition
from src.data.synthetic import write_sample
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from tests.support.data import write_pairs

FOLDERS = ["--dataset=folders", "--num_channels=3", "--image_size=[48,40]"]


def folds_of(data, *argv):
    return create_folds(parse_options([f"--data_path={data}", *argv], ""))


def check(folds, names):
    """Each sample validates once, and trains in all other folds."""
    assert [fold.number for fold in folds] == list(range(1, len(folds) + 1))
    assert sorted(name for fold in folds for name in fold.validation) == sorted(names)
    for fold in folds:
        assert sorted(fold.train + fold.validation) == sorted(names)
        assert fold.validation and fold.train


@given(st.integers(2, 300), st.data(), st.integers(0, 2**32 - 1))
def test_partition(count, data, seed):
    folds = data.draw(st.integers(2, count))
    parts = partition(count, folds, seed)
    assert len(parts) == folds and sorted(number for part in parts for number in part) == list(range(count))
    assert {len(part) for part in parts} <= {count // folds, count // folds + 1}
    assert parts == partition(count, folds, seed)


def test_another_seed_makes_another_partition():
    assert partition(30, 5, seed=1) != partition(30, 5, seed=2)


def test_five_folds_of_isbi_are_those_of_the_protocol(tmp_path):
    """Validation slices of folds 1 and 5 by hand from RandomState(0): its order, and the order rotated by 6."""
    write_sample(tmp_path, slices=30, size=16, seed=1)
    folds = folds_of(tmp_path)
    check(folds, [f"slice {index}" for index in range(30)])
    assert folds[0].validation == [f"slice {index}" for index in (6, 4, 18, 19, 9, 7)]
    order = np.arange(30)
    np.random.RandomState(0).shuffle(order)
    assert folds[4].validation == [f"slice {index}" for index in order[24:]]
    assert [fold.options for fold in folds] == [{"cross_valid_ind": number} for number in (1, 2, 3, 4, 5)]


@pytest.mark.parametrize("slices, argv, sizes", [(10, ["--folds=3"], [4, 3, 3]), (10, ["--folds=10"], [1] * 10),
                                                 (13, [], [3, 3, 3, 2, 2]), (4, [], [1] * 4),
                                                 (4, ["--folds=2"], [2, 2])])
def test_other_folds_of_stacks(tmp_path, slices, argv, sizes):
    write_sample(tmp_path, slices=slices, size=16, seed=1)
    folds = folds_of(tmp_path, *argv)
    check(folds, [f"slice {index}" for index in range(slices)])
    assert [len(fold.validation) for fold in folds] == sizes and not any(fold.options for fold in folds)


@pytest.mark.parametrize("argv, count", [([], 5), (["--folds=2", "--split=0.01"], 2), (["--folds=7"], 7)])
def test_folders(nuclei, argv, count):
    folds = folds_of(nuclei, *FOLDERS, *argv)
    assert len(folds) == count
    check(folds, [f"{number:04d}/image.png" for number in range(10)])
    assert folds == folds_of(nuclei, *FOLDERS, *argv)
    assert folds != folds_of(nuclei, *FOLDERS, *argv, "--seed=2")


def test_fewer_samples_than_five(tmp_path):
    write_pairs(tmp_path, ["a", "b", "c"])
    assert [fold.validation for fold in folds_of(tmp_path, *FOLDERS, "--folds=3")] == [
        fold.validation for fold in folds_of(tmp_path, *FOLDERS)]


def test_pages_of_a_file_stay_together(tmp_path):
    for folder in ("image", "mask"):
        (tmp_path / folder).mkdir()
        for name in "abc":
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", np.zeros((4, 8, 8), np.uint8), photometric="minisblack")
    folds = folds_of(tmp_path, "--dataset=image_mask")
    assert sorted(fold.validation for fold in folds) == [[f"image/{name}.tif[{page}]" for page in range(4)]
                                                         for name in "abc"]
    assert all(sorted(fold.train + fold.validation) == sorted(sum((fold.validation for fold in folds), []))
               for fold in folds)


def test_two_parts_have_no_folds(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(UNetError, match="with the folders train and val validates on the images of val/"):
        folds_of(tmp_path, "--dataset=image_mask")


@pytest.mark.parametrize("argv, part", [
    (["--folds=1"], "1 folds of 10 samples.*--folds=2 to --folds=10"), (["--folds=11"], "11 folds of 10 samples"),
    (["--split=1.0"], "split 1.0 validates on the images of val/, so folds do not apply"),
    (["--splits=mine.json"], "splits is mine.json, but folds make their own splits")])
def test_refusals(nuclei, argv, part):
    with pytest.raises(UNetError, match=part):
        folds_of(nuclei, *FOLDERS, *argv)
