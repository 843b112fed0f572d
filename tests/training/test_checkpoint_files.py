"""Checkpoint files: what is no state of a run, how many records are read, and where the files may be."""
import pytest
from mindspore.train.checkpoint_pb2 import Checkpoint

from src.model_utils.config import parse_options
from src.model_utils.errors import UNetError
from src.training import checkpoint_files
from src.training.checkpoint_contents import CheckpointContents
from src.training.checkpoint_files import checkpoint_folder
from src.training.run_folder import RunFolder
from tests.support.alarm import in_time


@pytest.mark.parametrize("text", [
    "[]", "5", "[" * 100_000, "{}", '{"step": -1}', '{"step": 1e999}', '{"step": true}', '{"step": 1.5}',
    '{"step": "1"}', *(f'{{"step": 1, {more}}}' for more in (
        '"scale": "2"', '"scale": NaN', '"run": 5', '"callbacks": 5', '"callbacks": {"a": 5}'))])
def test_texts_that_are_no_state(text):
    assert checkpoint_files.parse_state('{"step": 1, "scale": 2, "run": "a", "callbacks": {"a": {}}}')["scale"] == 2
    with pytest.raises(ValueError, match="not the state of a run"):
        checkpoint_files.parse_state(text)


def in_records(path, parts):
    message = Checkpoint()
    for part in parts:
        record = message.value.add(tag=checkpoint_files.TRAINING_STATE)
        record.tensor.tensor_type, record.tensor.tensor_content = "str", part.encode("utf-32-le")
    path.write_bytes(message.SerializeToString())
    return path


def test_a_state_in_many_records_takes_linear_time(tmp_path):
    path = in_records(tmp_path / "a.ckpt", ['{"step": 3, "name": "', *["x" * 400] * 19_000, '"}'])
    with in_time(10):
        assert checkpoint_files.read_state(path)["step"] == 3


def test_more_records_than_any_network_has(tmp_path):
    path = in_records(tmp_path / "a.ckpt", ['{"step": 3, "name": "', *"x" * 25_000, '"}'])
    with in_time(10):
        with pytest.raises(ValueError, match="more than 20000 records"):
            checkpoint_files.read_state(path)
        with pytest.raises(UNetError, match="a.ckpt: not a whole MindSpore checkpoint .25002 records; at most 20000"):
            CheckpointContents(path)


@pytest.mark.parametrize("given", ["../elsewhere", "/elsewhere", "inside/../../elsewhere", "link"])
def test_checkpoints_stay_inside(tmp_path, given):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    config = parse_options([f"--output_path={tmp_path / 'out'}", f"--checkpoint_path={given}"], "")
    with pytest.raises(UNetError, match=r"checkpoint_path \S+ leads out of output_path .*; give a path inside it"):
        RunFolder(config, "run")


@pytest.mark.parametrize("given", ["./checkpoint/", "a/b", "a/../b", "."])
def test_checkpoints_inside(tmp_path, given):
    assert checkpoint_folder(tmp_path, given).parent.resolve().is_relative_to(tmp_path.resolve())
    assert checkpoint_folder(tmp_path, str(tmp_path / "absolute")) == tmp_path / "absolute" / "ckpt_0"
