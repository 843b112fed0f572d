"""splits.json: what trains and what validates, written and given back in."""
import json
import time

import pytest

from src.data.samples import create_samples, entries
from src.data.splits import choose, read_splits, write_splits
from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError


def samples_of(*argv):
    return create_samples(parse_options([*argv], ""))


def test_written_and_read(tmp_path):
    write_splits(tmp_path / "splits.json", ["b", "a"], ["c"])
    assert json.loads((tmp_path / "splits.json").read_text()) == {"train": ["b", "a"], "validation": ["c"]}
    assert choose(["a", "b", "c", "d"], tmp_path / "splits.json") == ([1, 0], [2])


def test_a_byte_order_mark(tmp_path):
    """Which Windows programs write."""
    (tmp_path / "splits.json").write_text('{"train": ["a"], "validation": ["b"]}', encoding="utf-8-sig")
    assert read_splits(tmp_path / "splits.json") == [["a"], ["b"]]


@pytest.mark.parametrize("argv", [
    ["--cross_valid_ind=3"], ["--dataset=folders", "--num_channels=3", "--image_size=[48,40]", "--split=0.7"]])
def test_a_run_again_on_its_own_split(sample, nuclei, tmp_path, argv):
    """Given back in, the file of a run makes the same samples, whatever fold or fraction is asked for."""
    data = nuclei if "--dataset=folders" in argv else sample
    argv = [*argv, f"--data_path={data}", "--image_size=[48,40]", "--train_augment=False"]
    train, valid = samples_of(*argv)
    names = entries(train, data), entries(valid, data)
    assert len({*names[0], *names[1]}) == 10 and not {*names[0]} & {*names[1]}
    write_splits(tmp_path / "splits.json", *names)
    again, valid_again = samples_of(*argv, f"--splits={tmp_path / 'splits.json'}", "--cross_valid_ind=1", "--split=0.5")
    assert (entries(again, data), entries(valid_again, data)) == names
    assert [(again[index][0] == train[index][0]).all() for index in range(3)] == [True] * 3


def test_many_names_are_checked_in_linear_time(tmp_path):
    """100,000 names, one of them twice; each name's own search through the list would take minutes."""
    names = [f"{number}/image.png" for number in range(100_000)]
    write_splits(tmp_path / "splits.json", names[:80_000], names[80_000:])
    train, validation = choose(names, tmp_path / "splits.json")
    assert (train, validation) == (list(range(80_000)), list(range(80_000, 100_000)))
    write_splits(tmp_path / "splits.json", names, names[5:6])
    started = time.process_time()
    with pytest.raises(UNetError, match=r"1 names are in it twice \(5/image.png\)"):
        read_splits(tmp_path / "splits.json")
    assert time.process_time() - started < 5


def test_names_tell_train_from_val(nuclei, tmp_path):
    for part in ("train", "val"):
        (tmp_path / part).symlink_to(nuclei)
    train, valid = samples_of("--dataset=folders", "--num_channels=3", "--split=1.0", f"--data_path={tmp_path}")
    assert entries(train, tmp_path)[0] == "train/0000/image.png"
    assert entries(valid, tmp_path)[0] == "val/0000/image.png"


@pytest.mark.parametrize("text, part", [
    ('{"train": ["slice 0"]}', "expected"), ("[1]", "expected"),
    ('{"train": [1], "validation": []}', "expected two lists of text"),
    ('{"train": ["slice 0"], "validation": ["slice 0"]}', r"1 names are in it twice \(slice 0\)"), ("{", "expected"),
    ("[" * 100000, "expected")])
def test_refusals(tmp_path, text, part):
    (tmp_path / "splits.json").write_text(text)
    with pytest.raises(UNetError, match=f"splits.json: .*{part}"):
        read_splits(tmp_path / "splits.json")


def test_another_data_set(sample, tmp_path):
    write_splits(tmp_path / "splits.json", ["slice 0", "slice 77"], ["a/image.png"])
    with pytest.raises(UNetError, match=r"2 names are not in the data set \(slice 77, a/image.png\)"):
        samples_of(f"--data_path={sample}", f"--splits={tmp_path / 'splits.json'}")
    with pytest.raises(UNetError, match="no such file: .*none.json"):
        samples_of(f"--data_path={sample}", f"--splits={tmp_path / 'none.json'}")
