"""The arithmetic of docs/design/scaling.md, with values worked out by hand, and the document against it."""
import pytest

from benchmarks import scaling
from tests.support.scripts import PROJECT


def test_ring():
    # 4 devices, 100 bytes, 25 bytes a second: six pieces of 25 bytes, one second each; and six hops.
    assert scaling.ring_seconds(100, 4, 25) == pytest.approx(6)
    assert scaling.ring_seconds(100, 4, 25, hop=0.5) == pytest.approx(9)
    # The gradients of unet_medical over 100 Gb/s, many devices: nearly twice their own time, 2 * 9.93 ms.
    assert scaling.ring_seconds(31_029_698 * 4, 10**6, 12.5e9) == pytest.approx(0.019859, rel=1e-4)
    assert scaling.LINKS["PCIe"] == pytest.approx(31.508e9, rel=1e-4)


def test_smallest_batch():
    # 90 % of a step of 100 ms leaves 10 ms: 9 images of 10 ms for 10 ms, one more for a little more.
    assert scaling.smallest_batch(0.010, 0.010) in (9, 10)
    assert scaling.smallest_batch(0.010, 0.0099) == 9
    assert scaling.smallest_batch(0.010, 0.0101) == 10


def test_bytes():
    assert scaling.gradient_bytes(*scaling.NESTED_CELL) == 4 * 9_037_920
    # 572x572 float32, and two classes of 388x388.
    assert scaling.sample_bytes(scaling.options(scaling.MEDICAL)) == 4 * (572 * 572 + 2 * 388 * 388)


def test_steps():
    lines = scaling.steps_table().splitlines()
    assert lines[2] == "| ISBI, one fold | 1 | 16 | 0.67 | 600 | 0.0001 | 0.0001 |"
    assert lines[4] == "| ISBI, one fold | 64 | 1,024 | 43 | 9 | 0.0008 | 0.0064 |"
    assert "| none |" in lines[5] and "| nuclei of 2018 | 1 | 16 | 0.03 | 6,700 |" in lines[6]


def test_document_has_these_tables(tmp_path):
    document = PROJECT / "docs" / "design" / "scaling.md"
    assert scaling.steps_table() in document.read_text(), "benchmarks/scaling.py --update"
    path = tmp_path / "d.md"
    path.write_text("a\n<!-- x -->\nold\n<!-- end -->\nb\n")
    scaling.update(path, {"x": "new"})
    assert path.read_text() == "a\n<!-- x -->\nnew\n<!-- end -->\nb\n"
    with pytest.raises(SystemExit, match="no <!-- y -->"):
        scaling.update(path, {"y": "new"})
