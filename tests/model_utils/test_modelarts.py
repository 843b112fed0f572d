"""ModelArts: copies once per server, whatever happens, against a stand-in for moxing that copies folders."""
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.support.data import FIXTURES
from tests.support.scripts import PROJECT, SCRIPT_ENVIRONMENT, assert_one_line_error, run

STAND_IN = FIXTURES / "modelarts"

# What a script does, without MindSpore: waits for the ranks of TOGETHER, as training does, reads its data, writes a
# result of its own, and ends as RESULT says, or hangs.
SCRIPT = """
import os, sys, time
from pathlib import Path
from src.model_utils.errors import UNetError
from src.model_utils.script import run_script

def main(config):
    rank, result = os.environ["RANK_ID"], os.environ["RESULT"]
    text = Path(config.data_path, "a.txt").read_text()
    out = Path(config.output_path)
    out.mkdir(exist_ok=True)
    Path("here" + rank).touch()
    while not all(Path("here" + other).exists() for other in os.environ["TOGETHER"]):
        time.sleep(0.02)
    time.sleep(0.3 * int(rank))     # the second ends later, and its result is wanted too
    (out / f"{rank}.txt").write_text(text)
    if result == "error":
        raise UNetError("nothing fits")
    if result == "fault":
        raise ZeroDivisionError("division")
    if result == "hang":
        time.sleep(1000)        # as in a collective operation
    return int(result)

sys.exit(run_script(main, ""))
"""


@pytest.fixture
def store(tmp_path):
    """The object store: data/a.txt and ckpt/best.ckpt."""
    for name, text in (("data/a.txt", "the data"), ("ckpt/best.ckpt", "the weights")):
        (tmp_path / "store" / name).parent.mkdir(parents=True)
        (tmp_path / "store" / name).write_text(text)
    (tmp_path / "tmp").mkdir()
    return tmp_path / "store"


def environment(store, **more):
    path = os.pathsep.join(filter(None, [SCRIPT_ENVIRONMENT.get("PYTHONPATH"), str(PROJECT), str(STAND_IN)]))
    return {**SCRIPT_ENVIRONMENT, "MOXING_STORE": str(store), "TMPDIR": str(store.parent / "tmp"), "JOB_ID": "job7",
            "PYTHONPATH": path, **more}


OPTIONS = ["--enable_modelarts=True", "--data_url=obs://data", "--checkpoint_url=obs://ckpt", "--train_url=obs://out",
           "--data_path=in side/data", "--load_path=in side/ckpt", "--output_path=in side/out"]


def start(store, rank, *options, result="0", code=SCRIPT, together="01", **more):
    return subprocess.Popen([sys.executable, "-c", code, *OPTIONS, *options], cwd=store.parent, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=environment(store, RANK_ID=str(rank), RESULT=result, TOGETHER=together, **more))


def both(store, *options, seconds=120, **more):
    """Two ranks; [(exit status, standard output, standard error)]."""
    for marker in store.parent.glob("here?"):
        marker.unlink()
    ranks = [start(store, rank, *options, **more) for rank in (0, 1)]
    results = [(*rank.communicate(timeout=seconds), rank.returncode) for rank in ranks]
    return [(status, out, err) for out, err, status in results]


def calls(store):
    return (store / "calls").read_text().splitlines()


BROUGHT = ["obs://data in side/data", "obs://ckpt in side/ckpt"]
TAKEN = "in side/out obs://out"


def test_two_processes_copy_once(store):
    results = both(store)
    assert [result[0] for result in results] == [0, 0], results
    assert calls(store) == [*BROUGHT, TAKEN]
    assert (store.parent / "in side" / "ckpt" / "best.ckpt").read_text() == "the weights"
    # The upload has waited for the later of the two.
    assert sorted(path.name for path in (store / "out").iterdir()) == ["0.txt", "1.txt"]
    assert sum("data_url: obs://data copied to in side/data in " in out for _, out, _ in results) == 1
    assert sum("train_url: nothing to copy, there is no obs://out yet" in out for _, out, _ in results) == 1


def test_output_of_an_earlier_job_is_brought(store):
    """train_url comes before the run too, so that a job can resume what an earlier one saved."""
    (store / "out" / "checkpoint").mkdir(parents=True)
    (store / "out" / "checkpoint" / "a.ckpt").write_text("weights of the earlier job")
    results = both(store)
    assert [result[0] for result in results] == [0, 0], results
    assert calls(store) == [*BROUGHT, "obs://out in side/out", TAKEN]
    assert (store.parent / "in side" / "out" / "checkpoint" / "a.ckpt").read_text() == "weights of the earlier job"
    results = both(store, MOXING_FAIL="out")
    assert [result[0] for result in results] == [2, 2]
    assert all("train_url: copying obs://out to in side/out failed" in err for _, _, err in results)


@pytest.mark.parametrize("result, status, line", [
    ("error", 2, "error: nothing fits"), ("fault", 1, "error: ZeroDivisionError: division"), ("143", 143, "")])
def test_output_goes_up_when_training_fails(store, result, status, line):
    results = both(store, result=result)
    assert [result[0] for result in results] == [status, status], results
    assert all(err.startswith(line) for _, _, err in results)
    assert calls(store) == [*BROUGHT, TAKEN] and (store / "out" / "1.txt").is_file()


@pytest.mark.slow
def test_failed_copy_ends_both(store):
    results = both(store, MOXING_FAIL="ckpt", MOXING_SLOW="data", MOXING_SECONDS="1")
    for status, _, err in results:
        assert (status, err) == (2, "error: checkpoint_url: copying obs://ckpt to in side/ckpt failed: OSError: "
                                    "stat:404 obs://ckpt\n")
    assert TAKEN not in calls(store)


@pytest.mark.slow
def test_failed_upload_is_an_error_and_does_not_hide_one(store):
    first, second = sorted(both(store, MOXING_FAIL="out"))
    assert (first[0], second[0]) == (0, 2) and "train_url: copying in side/out to obs://out failed" in second[2]
    results = both(store, MOXING_FAIL="out", result="error")
    assert [result[0] for result in results] == [2, 2]
    assert all(err == "error: nothing fits\n" for _, _, err in results)
    # The second of them has tried again.
    assert all("ERROR: train_url: copying in side/out" in out for _, out, _ in results)


def test_copy_that_hangs_is_ended(store):
    results = both(store, "--modelarts_timeout=1", MOXING_SLOW="data", MOXING_SECONDS="1000")
    assert [result[0] for result in results] == [2, 2]
    assert any("data_url: copying obs://data to in side/data did not end in 1 s; raise modelarts_timeout" in err
               for _, _, err in results)


@pytest.mark.slow
def test_death_of_the_one_that_copies_is_seen(store):
    slow = {"MOXING_SLOW": "data", "MOXING_SECONDS": "1000"}
    owner = start(store, 0, **slow)
    while not (store / "calls").exists():
        time.sleep(0.05)
    other = start(store, 1, **slow)
    while not any(str(path.resolve()).endswith(".lock") for path in Path(f"/proc/{other.pid}/fd").iterdir()):
        time.sleep(0.05)
    time.sleep(2)       # from opening the file to waiting
    owner.send_signal(signal.SIGKILL)
    _, err = other.communicate(timeout=120)
    assert other.returncode == 2 and "ended before it was done" in err
    owner.communicate()
    # What a killed run has left behind is in nobody's way.
    assert [result[0] for result in both(store)] == [0, 0]


def test_one_that_failed_takes_the_output_away_when_the_owner_hangs(store):
    """The copying process (0) hangs in its main; the other one fails, and waits for it in vain, here for 0 s."""
    owner = start(store, 0, result="hang", together="0")
    while not (store.parent / "in side" / "out" / "0.txt").exists():
        time.sleep(0.05)
    code = SCRIPT.replace("import os", "import src.model_utils.moxing_adapter as m; m.LEAVE_SECONDS = 0\nimport os", 1)
    other = start(store, 1, code=code, result="error")
    _, err = other.communicate(timeout=120)
    owner.kill()
    owner.communicate()
    assert (other.returncode, err) == (2, "error: nothing fits\n")
    assert calls(store) == [*BROUGHT, TAKEN] and (store / "out" / "1.txt").is_file()


def test_folders_of_their_own_are_copies_of_their_own(store):
    ranks = [start(store, rank, f"--data_path=own{rank}", f"--output_path=out{rank}") for rank in (0, 1)]
    for rank in ranks:
        rank.communicate(timeout=120)
    assert sorted(call for call in calls(store) if "data" in call) == ["obs://data own0", "obs://data own1"]


def test_the_scheduler_of_msrun_takes_no_part(store):
    code = SCRIPT[:SCRIPT.index("def main")] + "sys.exit(run_script(lambda config: 7, ''))"
    scheduler = start(store, 0, code=code, MS_ROLE="MS_SCHED")
    assert scheduler.wait(timeout=120) == 7, scheduler.communicate()
    assert not (store / "calls").exists()


def test_without_moxing(tmp_path):
    assert_one_line_error(run("train.py", "--enable_modelarts=True", cwd=tmp_path), "no Python package moxing")
    assert not os.listdir(tmp_path)


def test_a_folder_that_cannot_be_made(store):
    (store.parent / "file").write_text("")
    results = both(store, "--load_path=file/ckpt")
    assert [(status, err) for status, _, err in results] == [
        (2, "error: checkpoint_url: cannot make the folder file/ckpt: Not a directory\n")] * 2


def test_an_archive_without_a_name(store):
    results = both(store, "--need_modelarts_dataset_unzip=True")
    assert [result[0] for result in results] == [2, 2]
    assert all("modelarts_dataset_unzip_name is empty" in err for _, _, err in results)
    assert not (store / "calls").exists()


@pytest.mark.slow
def test_training_and_export(light_runs, store, sample):
    """train.py on an archive, then export.py with the checkpoint that it left in the store."""
    with zipfile.ZipFile(store / "data" / "isbi.zip", "w") as archive:
        for path in sample.iterdir():
            archive.write(path, f"isbi/{path.name}")
    small = ["--model_name=unet_simple", "--image_size=[96,96]", "--train_crop=32", "--batch_size=2", "--repeat=1",
             "--epochs=1", "--enable_profiling=True", "--context_mode=pynative"]
    unzip = ["--need_modelarts_dataset_unzip=True", "--modelarts_dataset_unzip_name=isbi"]
    result = run("train.py", *OPTIONS, *small, *unzip, cwd=store.parent, **environment(store))
    assert result.returncode == 0, result.stdout + result.stderr
    checkpoint = "checkpoint/ckpt_0/ckpt_unet_simple_adam-1_4.ckpt"
    assert (store / "out" / checkpoint).is_file()
    trace, = (store / "out" / "profile" / "rank_0").rglob("trace_view.json")
    assert f"profile of the steps 3 to 4 of the run: in side/out/profile/rank_0/{trace.parts[-3]}" in result.stdout
    result = run("export.py", *OPTIONS, *small, "--checkpoint_url=obs://out", "--width=32", "--height=32",
                 f"--checkpoint_file_path=in side/ckpt/{checkpoint}", "--output_path=exported",
                 cwd=store.parent, **environment(store))
    assert result.returncode == 0, result.stdout + result.stderr
    assert (store / "out" / "unet.mindir").is_file()


@pytest.mark.slow
def test_preprocess(store, sample):
    shutil.copytree(sample, store / "isbi")
    result = run("preprocess.py", *OPTIONS, "--data_url=obs://isbi", "--image_size=[96,96]", cwd=store.parent,
                 **environment(store))
    assert result.returncode == 0, result.stdout + result.stderr
    assert (store / "out" / "preprocess_Result" / "ISBI_test_bs_1_0.bin").is_file()
    assert (store / "out" / "label.npy").is_file()
