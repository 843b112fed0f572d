"""Checkpoints as files: their names and folders, and of which run and step each is. Without MindSpore.

``checkpoint`` writes them and reads their parameters. Cross-validation and prediction with ONNX Runtime look for
checkpoints too.
"""
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from src.model_utils.claims import MOST_STEPS, SCALES, claimed, claimed_int
from src.model_utils.errors import UNetError
from src.model_utils.inputs import MB, WRONG_CONTENT, open_input

BEST = "best.ckpt"
# Name of the text in a checkpoint that is the state of the run, as JSON.
TRAINING_STATE = "training_state"
# What follows the last record of a checkpoint, before a number.
CHECKSUM = b"crc_num"
MOST_STATE, MOST_NAME = 256 * MB, 10_000      # bytes
# Networks have hundreds of parameters, and MindSpore divides one of more than 500 MB.
MOST_RECORDS = 20_000
# The run of checkpoints from before runs had names.
UNNAMED = ""


def checkpoint_root(output_path: str | Path, checkpoint_path: str) -> Path:
    """Return the folder that holds the folders of the ranks' checkpoints.

    Raises:
        UNetError: it is not inside ``output_path``, which is the only folder that a run locks and owns.
    """
    root = Path(output_path) / checkpoint_path
    if not root.resolve().is_relative_to(Path(output_path).resolve()):
        raise UNetError(f"checkpoint_path {checkpoint_path} leads out of output_path {output_path}, to "
                        f"{root.resolve()}; give a path inside it")
    return root


def checkpoint_folder(output_path: str | Path, checkpoint_path: str, rank: int = 0) -> Path:
    """Return the folder of the checkpoints of one rank. Raises as ``checkpoint_root``."""
    return checkpoint_root(output_path, checkpoint_path) / f"ckpt_{rank}"


def checkpoint_name(model_name: str, epoch: int, step: int) -> str:
    """Return the file name of the checkpoint after ``step`` steps of ``epoch``, both from 1."""
    return f"ckpt_{model_name}_adam-{epoch}_{step}.ckpt"


@dataclass(frozen=True)
class FoundCheckpoint:
    """A checkpoint file, and what it says about itself.

    Attributes:
        path: the file.
        run: name of its run; None if it is of no run of this project, or damaged.
        step: number of steps done; 0 if the file does not say.
        is_damaged: whether its records cannot be read.
    """
    path: Path
    run: str | None
    step: int
    is_damaged: bool

    @property
    def age(self) -> tuple[int, list[int]]:
        """A sort key, the oldest first: the step, then the numbers in the name, of which best.ckpt has none."""
        return self.step, [int(number) for number in re.findall(r"\d+", self.path.stem)]


def find_checkpoints(folder: str | Path, model_name: str = "*") -> list[FoundCheckpoint]:
    """Return the checkpoints of a network, or of all, in ``folder``, best.ckpt among them; the oldest first.

    A modification time says nothing about age: copying a folder changes it.
    """
    paths = {*Path(folder).glob(f"ckpt_{model_name}_adam-*.ckpt"), *Path(folder).glob(BEST)}
    return sorted(map(_look_into, paths), key=lambda found: found.age)


def _look_into(path: Path) -> FoundCheckpoint:
    try:
        state = read_state(path)
    except (OSError, ValueError, UNetError):
        return FoundCheckpoint(path, None, 0, True)
    return FoundCheckpoint(path, run_of(state), state["step"] if state else 0, False)


def run_of(state: dict[str, Any] | None) -> str | None:
    """Return the name of the run whose ``state`` it is; None if it is not that of a run."""
    if state is None:
        return None
    return state.get("run", UNNAMED if "model_name" in state else None)


def is_of_version_1_0(state: dict[str, Any] | None) -> bool:
    """Return whether ``state`` is that of a run of version 1.0 of this project, whose runs had no names."""
    return state is not None and "run" not in state and run_of(state) == UNNAMED


def run_title(run: str) -> str:
    """Return the words for a run in a message."""
    return f"run {run}" if run != UNNAMED else "a run without a name"


def final_checkpoint(folder: str | Path, model_name: str) -> Path | None:
    """Return the result of a run: its best checkpoint if there is one, else its newest; None if there is none."""
    found = find_checkpoints(folder, model_name)
    best = next((one for one in found if one.path.name == BEST), None)
    others = [one for one in found if one is not best]
    # A best checkpoint of another run, which somebody has left here, is not the result of this one.
    if best and (not others or best.is_damaged or best.run == others[-1].run or others[-1].run is None):
        return best.path
    return others[-1].path if others else None


# ---- reading the state without the parameters


def read_state(path: str | Path) -> dict[str, Any] | None:
    """Return the run's state in a checkpoint, with at least "step"; None if the file holds none.

    The parameters are skipped, so it takes no longer for large files. A file is a protobuf message: one record for
    each parameter or text, and a checksum after the last one.

    Raises:
        OSError: the file cannot be read.
        UNetError: it is no regular file.
        ValueError: the file is damaged.
    """
    text, tag_before = bytearray(), b""
    with open_input(path) as file:
        for tag, content in _records(file):
            if text and tag == TRAINING_STATE.encode() != tag_before or len(text) > MOST_STATE:
                raise ValueError("its records are not one after another")
            text += content         # where it stands; text + content would copy it for each record
            tag_before = tag
    return parse_state(text.decode("utf-32-le")) if text else None


def parse_state(text: str) -> dict[str, Any]:
    """Return the state that ``text`` holds, or raise ValueError."""
    try:
        state = json.loads(text)
        claimed_int(state["step"], 0, MOST_STEPS, "step")
        claimed(state.get("scale", 1), *SCALES, "scale")
        # claimed() takes texts too.
        if (isinstance(state["step"], int) and isinstance(state.get("scale", 1), (int, float))
                and isinstance(state.get("run", ""), str)
                and all(isinstance(one, dict) for one in state.get("callbacks", {}).values())):
            return state
    except (UNetError, *WRONG_CONTENT):
        pass
    raise ValueError("not the state of a run")


def _records(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, content) of each record of a checkpoint; the content only of TRAINING_STATE."""
    end, left = os.fstat(file.fileno()).st_size, MOST_RECORDS
    while (key := file.read(1)) == b"\n":         # field 1 of the file: a record
        left -= 1
        if left < 0:
            raise ValueError(f"more than {MOST_RECORDS} records")
        after = _length(file, end) + file.tell()
        _expect(file, b"\n")                      # field 1 of a record: its name
        name = file.read(min(_length(file, after), MOST_NAME))
        yield name, _content(file, after) if name == TRAINING_STATE.encode() else b""
        file.seek(after)
    checksum = key + file.read(len(CHECKSUM))
    if not end or checksum and not checksum.startswith(CHECKSUM):
        raise ValueError("not a checkpoint")


def _content(file: BinaryIO, end: int) -> bytes:
    """Return the content of a record, whose name has been read."""
    _expect(file, b"\x12")                        # field 2 of a record: a tensor
    _length(file, end)
    while file.tell() < end:
        key = file.read(1)
        if key == b"\x08":                        # field 1 of a tensor: a dimension
            _varint(file)
            continue
        size = _length(file, end)
        if key == b"\x1a":                        # field 3 of a tensor: its content
            return file.read(min(size, MOST_STATE + 1))
        file.seek(size, os.SEEK_CUR)              # its type
    return b""


def _expect(file: BinaryIO, key: bytes) -> None:
    if file.read(1) != key:
        raise ValueError("not a checkpoint")


def _length(file: BinaryIO, end: int) -> int:
    """Read the length of a field, which must end at ``end`` or before."""
    length = _varint(file)
    if file.tell() + length > end:
        raise ValueError("cut off")
    return length


def _varint(file: BinaryIO) -> int:
    value = shift = 0
    while shift < 64:
        byte = file.read(1)
        if not byte:
            raise ValueError("cut off")
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
        shift += 7
    raise ValueError("not a number")
