"""Tasks: what is kept, what is made again, and what happens to bad ones and to killed workers."""
import os

import cv2
import numpy as np
import pytest

from src.data.preparation.task_pool import Task, run_tasks
from src.data.stacks import read_stack
from src.data.tiff import write_stack
from src.model_utils.errors import UNetError
from tests.support.leftovers import leftover


def paint(value):
    if value == 13:
        raise UNetError("13 is bad")
    return (np.full((4, 6), value, np.uint8), np.full((4, 6, 3), value, np.uint8)), 2


def tasks(folder, values=range(5)):
    return [Task((folder / str(value) / "a.png", folder / str(value) / "b.png"), paint, (value,)) for value in values]


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}


@pytest.mark.parametrize("workers", [1, 2])
def test_files_are_made_and_bad_tasks_are_named(tmp_path, workers, capsys):
    counts = run_tasks(tasks(tmp_path, [1, 13, 2]), workers)
    assert (counts.made, counts.kept, counts.left, counts.parts, counts.bad) == (2, 0, 0, 4, ("13 is bad",))
    assert capsys.readouterr().err == "error: 13 is bad\n"
    assert np.array_equal(cv2.imread(str(tmp_path / "2" / "b.png")), np.full((4, 6, 3), 2))
    assert not (tmp_path / "13").exists()


def test_what_is_whole_is_kept(tmp_path):
    run_tasks(tasks(tmp_path), 1)
    before = times(tmp_path)
    counts = run_tasks(tasks(tmp_path, range(7)), 1)
    assert (counts.made, counts.kept) == (2, 5)
    assert {path: time for path, time in times(tmp_path).items() if path in before} == before


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:20], lambda data: b"",
                                    lambda data: b"x" + data[1:]])
def test_half_written_files_are_made_again(tmp_path, damage):
    run_tasks(tasks(tmp_path, [1, 2]), 1)
    path = tmp_path / "2" / "a.png"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert run_tasks(tasks(tmp_path, [1, 2]), 1).made == 1
    assert path.read_bytes() == whole


def test_a_task_with_one_of_its_files_is_done_again(tmp_path):
    run_tasks(tasks(tmp_path, [1]), 1)
    (tmp_path / "1" / "b.png").unlink()
    assert run_tasks(tasks(tmp_path, [1]), 1).made == 1
    assert (tmp_path / "1" / "b.png").exists()


def test_files_of_killed_processes_are_cleared_away(tmp_path):
    left, other = leftover(tmp_path / "1" / "a.png"), leftover(tmp_path / "1" / "a.png", os.getppid())
    run_tasks(tasks(tmp_path, [1]), 1)
    assert not left.exists() and other.exists()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_stop_and_go_on(tmp_path, workers):
    answers = iter([False] * 2)
    first = run_tasks(tasks(tmp_path, range(20, 60)), workers, stopped=lambda: next(answers, True))
    assert 0 < first.made < 20 and first.made + first.left == 40
    assert len(times(tmp_path)) == 2 * first.made       # nothing but whole items
    second = run_tasks(tasks(tmp_path, range(20, 60)), workers)
    assert (second.kept, second.made, second.left) == (first.made, first.left, 0)


def test_a_killed_worker_is_named(tmp_path):
    deadly = [Task((tmp_path / name / "a.png",), os._exit, (9,)) for name in "xy"]
    with pytest.raises(UNetError, match=r"worker process was ended .*x/a\.png"):
        run_tasks(deadly, 2)


def test_a_folder_that_cannot_be_written_ends_the_run(tmp_path):
    (tmp_path / "1").write_text("a file in the place of a folder")
    with pytest.raises(UNetError, match="cannot write"):
        run_tasks(tasks(tmp_path, [1, 2]), 1)


def stack():
    return (np.arange(24, dtype=np.uint8).reshape(2, 3, 4),), 2


def test_stacks_are_kept_or_made_again(tmp_path):
    path = tmp_path / "x.tif"
    write_stack(path, stack()[0][0] + 1)
    assert run_tasks([Task((path,), stack, ())], 1).kept == 1
    path.write_bytes(path.read_bytes()[:60])
    assert run_tasks([Task((path,), stack, ())], 1).made == 1
    assert np.array_equal(read_stack(path), stack()[0][0])
