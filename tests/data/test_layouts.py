"""Layouts: a further one is one entry, and everything else follows it."""
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.data.channels import StoredImage
from src.data.folds import create_folds
from src.data.layouts import LAYOUTS, Layout, Source, in_two_folders
from src.data.reader import SampleCache
from src.data.sample_transforms import StackTransform
from src.data.samples import create_samples, entries
from src.export.runtime_files import write_inputs
from src.model_utils.config import parse_options
from src.model_utils.schema import load_schema
from tests.support.data import write_pairs


class ArrayReader:
    """All samples in one file of NumPy arrays, as a layout for HDF5 would read them."""

    def __init__(self, path):
        self.path = path
        with np.load(path) as arrays:
            self.images, self.classes = arrays["images"], arrays["classes"]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.image(index), self.classes[index]

    def image(self, index):
        return StoredImage(self.images[index][..., None], (0, 255))

    def is_8_bit(self, index):
        return True

    def size(self, index):
        return self.classes[index].shape

    def name(self, index):
        return f"cell{index}"

    def entry(self, index, root):
        return self.name(index)

    def kind(self, index):
        return "array"

    def masks_hold(self):
        return "classes"

    def instances(self, index):
        return None

    def folders(self):
        return {self.path.parent}


def add_layout(monkeypatch, name, layout):
    """The two edits that a further layout needs: the entry, and the choice of the option."""
    monkeypatch.setitem(LAYOUTS, name, layout)
    option = load_schema()["dataset"]
    monkeypatch.setattr(option, "choices", [*option.choices, name])


@pytest.fixture
def arrays(tmp_path, monkeypatch):
    """Options of a data set of ten samples in one file, of height 24 and width 32; sample k is gray 10 k."""
    rng = np.random.default_rng(0)
    images = np.broadcast_to(np.arange(0, 100, 10, dtype=np.uint8)[:, None, None], (10, 24, 32))
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "cells.npz", images=images, classes=rng.integers(0, 2, images.shape, dtype=np.uint8))
    add_layout(monkeypatch, "arrays", Layout(lambda source: ArrayReader(Path(source.data_dir) / "cells.npz"),
                                             StackTransform))
    return parse_options([f"--data_path={tmp_path / 'data'}", "--dataset=arrays", "--image_size=[24,32]",
                          "--split=0.7"], "")


def test_the_choices_of_the_option_are_the_layouts():
    assert load_schema()["dataset"].choices == list(LAYOUTS)


def test_another_reader_is_one_entry(arrays, tmp_path):
    """Samples, folds and inputs for other runtimes know it."""
    train, valid = create_samples(arrays)
    assert (len(train), len(valid), train.image_shape, train.label_shape) == (7, 3, (1, 24, 32), (2, 24, 32))
    assert entries(valid, arrays.data_path) == ["cell7", "cell8", "cell9"]
    np.testing.assert_array_equal(valid[1][1], valid.reader[8][1])
    folds = create_folds(arrays.replace(folds=5))
    assert sorted(name for fold in folds for name in fold.validation) == [f"cell{number}" for number in range(10)]
    assert not any(fold.options for fold in folds)
    write_inputs(tmp_path / "inputs", valid, LAYOUTS["arrays"].input_stem)
    assert sorted(path.name for path in (tmp_path / "inputs").glob("[!.]*")) == ["cell7.png", "cell8.png", "cell9.png"]


def test_sizes_and_names_follow_the_entry(arrays, tmp_path, monkeypatch):
    """The order of image_size, the published folds, and numbered inputs are facts of the entry alone."""
    monkeypatch.setitem(LAYOUTS, "arrays", replace(LAYOUTS["arrays"], width_first=True, published_folds=True,
                                                   input_stem="cells_"))
    train, valid = create_samples(arrays)
    assert (len(train), len(valid), train.image_shape) == (8, 2, (1, 32, 24))
    assert [fold.options for fold in create_folds(arrays)] == [{"cross_valid_ind": number} for number in range(1, 6)]
    write_inputs(tmp_path / "inputs", valid, LAYOUTS["arrays"].input_stem)
    names = ["cells_0.bin", "cells_1.bin"]
    assert sorted(path.name for path in (tmp_path / "inputs").glob("[!.]*")) == names


def test_another_layout_of_paired_files_is_one_entry(tmp_path, monkeypatch):
    write_pairs(tmp_path / "made", ["1", "2", "10"])
    for kind, folder in (("image", "image"), ("mask", "truth")):
        (tmp_path / "train" / folder).mkdir(parents=True)
        for name in ("1", "2", "10"):
            (tmp_path / "made" / name / f"{kind}.png").rename(tmp_path / "train" / folder / f"{name}.png")
    add_layout(monkeypatch, "truth", in_two_folders("truth", in_train=True))
    train, valid = create_samples(parse_options([f"--data_path={tmp_path}", "--dataset=truth", "--num_channels=3",
                                                 "--image_size=[48,40]"], ""))
    assert [entries(part, tmp_path) for part in (train, valid)] == [["train/image/1.png", "train/image/2.png"],
                                                                    ["train/image/10.png"]]


def test_memory_is_kept_for_each_part(nuclei):
    """Training and validation read a sample once, as long as there is room; each has its own room."""
    config = parse_options([f"--data_path={nuclei}", "--dataset=folders", "--num_channels=3", "--cache_mb=0"], "")
    train, _ = create_samples(config)
    assert train.reader[0][0] is not train.reader[0][0]
    train, valid = create_samples(config.replace(cache_mb=1))
    for part in (train, valid):
        assert all(part.reader[index][0] is part.reader[index][0] for index in part.indices)
    assert Source("folders", nuclei, 3).open()[0][0] is not train.reader[0][0]


def test_the_share_that_fits_into_memory():
    """Judged by the samples that are kept."""
    cache, item = SampleCache(1), (np.zeros(200_000, np.uint8), np.zeros(50_000, np.uint8))
    assert cache.share(4) == 0
    for index in range(2):
        cache.keep(index, item)
    assert cache.free == 500_000 and (cache.share(2), cache.share(4), cache.share(16)) == (1, 1, 0.25)
    for index in range(2, 6):
        cache.keep(index, item)
    assert sorted(cache.kept) == [0, 1, 2, 3] and cache.free == 0
