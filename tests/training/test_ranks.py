"""Data-parallel training on two ranks of this CPU, all in one process group (ranks_worker.py)."""
import json
import os
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from src.model_utils.ranks import Ranks
from src.training import run
from src.training.checkpoint_files import find_checkpoints
from src.training.run_folder import read_name
from tests.support import ranks_worker
from tests.support.ranks_worker import CURVE, build_without_norm, train
from tests.support.scripts import PROJECT, call

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def ranks(sample, nuclei, tmp_path_factory):
    """(folder of the runs, what rank 0 came to, what rank 1 came to)."""
    folder = tmp_path_factory.mktemp("ranks")
    damaged = shutil.copytree(nuclei, folder / "damaged")
    for picture in list(damaged.glob("*/image.png"))[1:]:      # the first one is looked at before the start
        picture.write_bytes(picture.read_bytes()[:-500])
    results = [folder / f"rank_{rank}.json" for rank in range(2)]
    for attempt in range(2):
        logs = folder / f"logs{attempt}"
        result = call(Path(sys.executable).with_name("msrun"), "--worker_num=2", "--local_worker_num=2", "--join=True",
                      f"--master_port={free_port()}", f"--log_dir={logs}", ranks_worker.__file__,
                      folder / f"runs{attempt}", sample, nuclei, damaged, cwd=folder,
                      PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", PYTHONPATH=str(PROJECT))
        said = "".join(path.read_text() for path in logs.glob("worker_*.log"))
        # MindSpore's sums of gradients give up after 30 s. On a machine that does much else a rank may be late by that.
        if all(path.exists() for path in results) or "AllReduce" not in said:
            break
    assert all(path.exists() for path in results), result.stderr[-500:] + said[-5000:]
    return folder / f"runs{attempt}", *(json.loads(path.read_text()) for path in results)


def test_ranks_are_two(ranks):
    assert [(result["rank"], result["size"]) for result in ranks[1:]] == [(0, 2), (1, 2)]


def test_two_ranks_are_one_process_with_the_double_batch(ranks, sample, tmp_path, monkeypatch):
    """The mean gradient of two batches of 1 is that of one batch of 2, and every rank has its own samples."""
    _, first, second = ranks
    monkeypatch.setattr(run, "build_network", build_without_norm)
    alone = train([*CURVE, "--batch_size=2", "--epochs=2", f"--data_path={sample}", f"--output_path={tmp_path}"])
    assert len(alone["losses"]) == 8
    assert alone["losses"][0] > 1.2 * alone["losses"][-1]      # it learns, so later losses depend on earlier steps
    np.testing.assert_allclose(first["curve"]["losses"], alone["losses"], rtol=1e-4)


def test_weights_are_equal(ranks):
    for name in ("curve", "whole", "stopped", "stopped again"):
        assert ranks[1][name] == ranks[2][name], name
        assert "weights" in ranks[1][name]


def test_rank_0_evaluates_and_saves(ranks):
    folder = ranks[0]
    names = sorted(path.name for path in (folder / "whole" / "checkpoint").rglob("*"))
    assert names == ["best.ckpt", "ckpt_0", "ckpt_unet_simple_adam-1_4.ckpt"]


def test_all_ranks_go_to_the_next_folder(ranks):
    """The folder of "whole" is taken; both ranks save into the one beside it, as one run."""
    folder, first, second = ranks
    assert first["again"] == second["again"] and first["again"]["weights"] == first["whole"]["weights"]
    found = [find_checkpoints(folder / "whole_2" / "checkpoint" / f"ckpt_{rank}") for rank in range(2)]
    assert [[one.step for one in both] for both in found] == [[4], [4]]
    assert found[0][0].run == found[1][0].run == read_name(folder / "whole_2") != read_name(folder / "whole")


def test_signal_on_one_rank_stops_both(ranks):
    """After the same step, each rank with its checkpoint (is_save_on_master False); resumed, it is the whole run."""
    folder, first, _ = ranks
    assert first["stopped"]["step"] == 3 and first["whole"]["step"] == 4
    for rank in range(2):
        assert (folder / "stopped" / "checkpoint" / f"ckpt_{rank}" / "ckpt_unet_simple_adam-1_3.ckpt").exists()
    assert first["stopped"]["losses"] + first["stopped again"]["losses"] == first["whole"]["losses"]
    assert first["stopped again"]["weights"] == first["whole"]["weights"]


def test_different_checkpoints(ranks):
    for result in ranks[1:]:
        assert "resume after different steps: 0, 3; give all of them" in result["different steps"]["error"]


def test_loss_that_is_not_finite_on_one_rank(ranks):
    for result in ranks[1:]:
        assert result["not finite"]["error"].startswith("the loss is nan at step 3 of epoch 1; the run ends")
        assert len(result["not finite"]["losses"]) == 3


def test_damaged_picture_on_one_rank(ranks):
    _, first, second = ranks
    assert first["damaged"]["error"].startswith("rank 1 has failed, so rank 0 ends too")
    assert "image.png" in second["damaged"]["error"]


def test_failure_while_rank_0_evaluates(ranks):
    """Rank 1 does not wait to tell it; rank 0 hears of it after its evaluation, and has nobody left to tell."""
    _, first, second = ranks
    assert first["meanwhile"]["error"].startswith("rank 1 has failed, so rank 0 ends too")
    assert second["meanwhile"]["error"] == "image.png is damaged"


def test_evaluation_of_a_run_that_is_over(ranks):
    """Rank 0 alone has something left to do, and the other waits for it."""
    folder, first, second = ranks
    assert first["over"]["step"] == second["over"]["step"] == 4
    assert (folder / "over" / "checkpoint" / "ckpt_0" / "best.ckpt").exists()


def test_rank_0_that_cannot_save(ranks):
    _, first, second = ranks
    assert "No space left" in first["full disk"]["error"]
    assert second["full disk"]["error"].startswith("rank 0 has failed, so rank 1 ends too")


def test_alone():
    """One rank asks nobody."""
    alone = Ranks()
    assert alone.synchronize(stop=True) and not alone.synchronize()
    assert alone.values(3.5).tolist() == [3.5]
    with pytest.raises(ValueError, match="x"), alone.reporting_failure():
        raise ValueError("x")
