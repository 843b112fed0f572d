"""ISBI stacks to slices and back."""
import numpy as np
import pytest
from PIL import Image

from src.data.preparation.isbi_slices import IMAGE_MASK, MEMBRANE, slice_tasks, stack_tasks
from src.data.preparation.task_pool import run_tasks
from src.data.stacks import read_stack
from src.data.tiff import write_stack
from src.model_utils.errors import UNetError
from tests.support.leftovers import leftover
from tests.support.scripts import assert_one_line_error

STACKS = ("train-volume.tif", "train-labels.tif", "test-volume.tif")


def write_stacks(folder, pages=12, test_pages=11, seed=0):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    write_stack(folder / STACKS[0], rng.integers(0, 256, (pages, 20, 30), dtype=np.uint8))
    write_stack(folder / STACKS[1], rng.integers(0, 2, (pages, 20, 30), dtype=np.uint8) * np.uint8(255))
    if test_pages:
        write_stack(folder / STACKS[2], rng.integers(0, 256, (test_pages, 24, 18), dtype=np.uint8))
    return folder


@pytest.fixture
def stacks(tmp_path):
    return write_stacks(tmp_path / "stacks")


@pytest.fixture
def slices(tmp_path, stacks):
    run_tasks(slice_tasks(stacks, tmp_path / "slices", IMAGE_MASK), 1)
    return tmp_path / "slices"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_third_slice_validates(stacks, slices):
    assert names(slices) == ["test_imgs", "train", "val"]
    assert names(slices / "val") == names(slices / "train") == ["image", "mask"]
    valid = [f"{number:05d}.png" for number in (0, 3, 6, 9)]
    assert names(slices / "val" / "image") == names(slices / "val" / "mask") == valid
    train = [f"{number:05d}.png" for number in (1, 2, 4, 5, 7, 8, 10, 11)]
    assert names(slices / "train" / "image") == names(slices / "train" / "mask") == train
    assert names(slices / "test_imgs") == [f"{number:05d}.png" for number in range(11)]
    labels = read_stack(stacks / STACKS[1])
    assert np.array_equal(np.asarray(Image.open(slices / "train" / "mask" / "00007.png")), labels[7])


def test_membrane_numbers_have_no_zeros(stacks, tmp_path):
    run_tasks(slice_tasks(stacks, tmp_path, MEMBRANE), 1)
    assert names(tmp_path / "train") == ["image", "label"]
    expected = {f"{number}.png" for number in range(12)}
    assert set(names(tmp_path / "train" / "image")) == set(names(tmp_path / "train" / "label")) == expected
    assert set(names(tmp_path / "test")) == {f"{number}.png" for number in range(11)}


@pytest.mark.parametrize("layout", [IMAGE_MASK, MEMBRANE])
@pytest.mark.parametrize("test_pages", [0, 11])
def test_there_and_back(tmp_path, layout, test_pages):
    source = write_stacks(tmp_path / "stacks", test_pages=test_pages)
    run_tasks(slice_tasks(source, tmp_path / "slices", layout), 1)
    leftover(tmp_path / "slices" / "train" / "image" / "00001.png", pid=1)
    run_tasks(stack_tasks(tmp_path / "slices", tmp_path / "back", layout), 1)
    assert names(tmp_path / "back") == names(source)
    for name in names(source):
        assert np.array_equal(read_stack(tmp_path / "back" / name), read_stack(source / name)), name


@pytest.mark.slow
def test_the_command_line(run, isbi, tmp_path):
    for arguments in (("--dataset=ISBI", "--data_path", isbi, "--save_path", tmp_path / "slices"),
                      ("--dataset=image_mask", "--to_stack=True", "-d", tmp_path / "slices")):
        result = run("preprocess_dataset.py", *arguments)
        assert result.returncode == 0, result.stderr
    for name in STACKS:
        assert np.array_equal(read_stack(tmp_path / "slices" / name), read_stack(isbi / name))


def test_wrong_stacks_are_refused_before_anything_is_written(run, stacks, tmp_path):
    test = (stacks / STACKS[2]).read_bytes()
    (stacks / STACKS[2]).write_bytes(test[:300])
    assert_one_line_error(run("preprocess_dataset.py", "--dataset=ISBI", "-d", stacks, "--save_path", tmp_path / "out"),
                          STACKS[2], "damaged or truncated")
    assert not (tmp_path / "out").exists()
    (stacks / STACKS[2]).write_bytes(test)
    write_stack(stacks / STACKS[1], np.zeros((3, 20, 30), np.uint8))
    with pytest.raises(UNetError, match="the two must agree"):
        slice_tasks(stacks, tmp_path, IMAGE_MASK)
    (stacks / STACKS[1]).unlink()
    with pytest.raises(UNetError, match="no such stack: .*train-labels"):
        slice_tasks(stacks, tmp_path, IMAGE_MASK)


def test_a_missing_partner_is_named(slices):
    (slices / "train" / "mask" / "00004.png").unlink()
    with pytest.raises(UNetError, match=r"image/00004\.png: no file of that name in .*train/mask"):
        stack_tasks(slices, slices, IMAGE_MASK)


def test_numbers_are_places(slices):
    def rename(old, new):
        for kind in ("image", "mask"):
            (slices / "train" / kind / old).rename(slices / "train" / kind / new)

    rename("00004.png", "3.png")
    with pytest.raises(UNetError, match=r"00003\.png and .*train/image/3\.png have the same number"):
        stack_tasks(slices, slices, IMAGE_MASK)
    rename("3.png", "four.png")
    with pytest.raises(UNetError, match="four.png: expected a number in the name"):
        stack_tasks(slices, slices, IMAGE_MASK)


@pytest.mark.parametrize(("image", "words"), [(Image.new("RGB", (30, 20)), "pixels of the kind RGB"),
                                              (Image.new("L", (31, 20)), "31x20, the first slice is 30x20")])
def test_a_bad_slice_is_named_and_the_other_stack_made(slices, tmp_path, image, words):
    image.save(slices / "train" / "image" / "00005.png")
    (fault,) = run_tasks(stack_tasks(slices, tmp_path / "out", IMAGE_MASK), 1).bad
    assert "00005.png" in fault and words in fault
    assert names(tmp_path / "out") == ["test-volume.tif"]
