"""The sample: deterministic, the right form, and learnable but not trivial."""
import numpy as np
import pytest

from src.data.stacks import StackReader
from src.data.synthetic import main, make_stacks


def test_same_seed_same_stacks():
    first, second, other = make_stacks(2, 96, 3), make_stacks(2, 96, 3), make_stacks(2, 96, 4)
    for one, same, different in zip(first, second, other):
        np.testing.assert_array_equal(one, same)
        assert (one != different).any()


def test_form():
    images, labels = make_stacks(3, 128, 1)
    assert images.shape == labels.shape == (3, 128, 128) and images.dtype == labels.dtype == np.uint8
    assert set(np.unique(labels)) == {0, 255}


def test_looks_like_isbi():
    images, labels = make_stacks(4, 256, 1)
    cells = labels > 0
    assert 0.65 < cells.mean() < 0.9
    assert images[cells].mean() - images[~cells].mean() > 40
    # Gray alone does not tell membranes: the best threshold leaves more errors than a network does.
    accuracy = max(np.mean((images > threshold) == cells) for threshold in range(60, 180, 5))
    assert accuracy < 0.95
    # Neighbouring slices are alike, but not the same.
    overlap = np.mean(cells[0] == cells[1])
    assert cells.mean() ** 2 + (1 - cells.mean()) ** 2 < overlap < 0.97
    contrast = [image.std() for image in images]
    assert max(contrast) / min(contrast) > 1.02


def test_command_line(tmp_path, capsys):
    assert main([f"--output={tmp_path / 'a b'}", "--slices=5", "--size=64"]) == 0
    assert len(StackReader(tmp_path / "a b")) == 5
    (tmp_path / "file").write_text("")
    assert main([f"--output={tmp_path / 'file' / 'x'}", "--slices=1", "--size=64"]) == 2
    assert "error: cannot write" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["--slices=0"])
    assert caught.value.code == 2
