"""How checkpoints are written and read: whole or not at all, to evaluate, to resume or to transfer from.

``callbacks.checkpoint`` decides when a run writes one. A file is one that ``mindspore.load_checkpoint`` reads. It holds
the network's parameters under their published names, those of Adam (moment1.NAME, moment2.NAME, global_step,
beta1_power, beta2_power), and one text, TRAINING_STATE: the state of the run as JSON.
"""
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn
from mindspore.train.checkpoint_pb2 import Checkpoint

from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import replacing
from src.model_utils.runtime import first_line
from src.training.checkpoint_files import BEST, age_key, oldest_first

logger = logging.getLogger("unet")

TRAINING_STATE = "training_state"
MOMENTS = ("moment1.", "moment2.")
# Parameters of nn.Adam and the training step besides network and moments. The others are ignored: a constant learning
# rate, for one, comes from the options.
STEP_COUNTERS = ("global_step", "beta1_power", "beta2_power")
_IGNORED = {"learning_rate", "scale_sense", "current_iterator_step", "epoch_num", "step_num"}


# ---- saving


def save(train_network: nn.Cell, path: str | Path, state: dict[str, Any]) -> Path:
    """Save the training step (network, Adam) and the run's state (a JSON-able dict), whole or not at all.

    Returns:
        Path: the file.

    Raises:
        UNetError: the file cannot be written, or a weight is not finite.
    """
    path = Path(path)
    for parameter in train_network.get_parameters():
        if not np.isfinite(parameter.asnumpy()).all():
            raise UNetError(f"{parameter.name} is not finite after step {state['step']}; nothing is saved, "
                            f"{last_checkpoint_message(path.parent)}; lower lr, or check the data")
    with replacing(path) as temporary:
        try:
            ms.save_checkpoint(train_network, str(temporary), append_dict={TRAINING_STATE: json.dumps(state)},
                               crc_check=True)
        finally:
            with suppress(OSError):     # MindSpore writes this file first, and does not remove it after an error
                temporary.with_suffix(".tmp").unlink()
    return path


def last_checkpoint_message(folder: str | Path, excluded: Path | None = None) -> str:
    """Say which is the newest checkpoint of a folder, except ``excluded``. All weights in checkpoints are finite."""
    found = sorted((path for path in Path(folder).glob("*.ckpt") if path != excluded), key=age_key)
    return f"the last good checkpoint is {found[-1]}" if found else "no checkpoint was saved before"


def prune(folder: str | Path, model_name: str, keep: int) -> None:
    """Remove the oldest checkpoints of a network until ``keep`` are left, besides best.ckpt."""
    for path in oldest_first(folder, model_name)[:-keep]:
        path.unlink()


# ---- reading


class CheckpointContents:
    """The contents of a checkpoint file.

    Attributes:
        path (Path): the file.
        weights (dict): name -> Parameter of the network.
        moments (dict): name -> Parameter of Adam's moments.
        counters (dict): name -> Parameter of Adam's step counters.
        state (dict): the run's state; None in a file that this project did not write.

    Raises:
        UNetError: the file is missing or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        parameters = _read(self.path)
        try:
            state = parameters.pop(TRAINING_STATE, None)
            self.state = json.loads(state) if state is not None else None
            if self.state is not None and not isinstance(self.state["step"], int):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise UNetError(f"{path}: damaged: its {TRAINING_STATE} cannot be read") from None
        self.moments = {name: parameters.pop(name) for name in list(parameters) if name.startswith(MOMENTS)}
        self.counters = {name: parameters.pop(name) for name in STEP_COUNTERS if name in parameters}
        self.weights = {name: value for name, value in parameters.items() if name not in _IGNORED}

    def differences(self, expected: dict[str, Any]) -> str:
        """Say how the weights differ from the parameters ``expected`` (name -> Parameter); empty if they fit."""
        missing = [name for name in expected if name not in self.weights]
        unknown = [name for name in self.weights if name not in expected]
        reshaped = [f"{name} is {tuple(self.weights[name].shape)} there, {tuple(expected[name].shape)} here"
                    for name in expected if name in self.weights and self.weights[name].shape != expected[name].shape]
        found = ((missing, "missing in the file"), (unknown, "unknown to the network"), (reshaped, "of another shape"))
        return "; ".join(_count(names, words) for names, words in found if names)

    def check_weights(self, network: nn.Cell) -> None:
        """Raise UNetError unless the weights are exactly those of ``network``, all of them and no other."""
        differences = self.differences(_parameters(network))
        if differences:
            raise UNetError(f"{self.path}: a checkpoint of another network: {differences}; give the YAML file that it "
                            f"was trained with")

    def load_into(self, network: nn.Cell) -> None:
        """Put all the weights into ``network``, or raise UNetError as ``check_weights`` does."""
        self.check_weights(network)
        put_parameters(network, self.weights)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        found = "no checkpoint was given" if path == Path() else f"no such checkpoint: {path}"
        raise UNetError(f"{found}; expected a .ckpt file, with --checkpoint_file_path or --resume_ckpt")
    try:
        _check_records(path.read_bytes())
        return ms.load_checkpoint(str(path), crc_check=True)
    # A damaged file can fail anywhere between the protobuf reader and the tensors it fills.
    except Exception as error:
        raise UNetError(f"{path}: not a whole MindSpore checkpoint ({first_line(error)[:160]})") from None


def _check_records(data: bytes) -> None:
    """Raise ValueError for contents that do not fill their shape, on which MindSpore's reader would crash.

    The reader checks the checksum of files that have one, and passes everything else to native code.
    """
    if data[-17:-10] == b"crc_num":
        data = data[:-17]
    records = Checkpoint()
    records.ParseFromString(data)
    wanted: dict[str, int] = {}
    found: Counter[str] = Counter()
    for record in records.value:
        kind = record.tensor.tensor_type
        found[record.tag] += len(record.tensor.tensor_content)     # long parameters come in several records
        if kind == "str":
            wanted[record.tag] = found[record.tag]
            continue
        width = re.fullmatch(r"(?:BFloat|Float|Int|UInt)(8|16|32|64)|Bool", kind)
        if not width:
            raise ValueError(f"{record.tag[:50]!r} has values of kind {kind[:20]!r}")
        dims = [] if list(record.tensor.dims) == [0] else record.tensor.dims
        wanted[record.tag] = math.prod(dims) * int(width[1] or 8) // 8
    for tag, size in wanted.items():
        if size != found[tag]:
            raise ValueError(f"{tag[:50]!r} has {found[tag]} bytes where its shape takes {size}")


def _count(names: Sequence[str], words: str) -> str:
    return f"{len(names)} {words} ({first_few(names)})"


def _parameters(cell: nn.Cell) -> dict[str, Any]:
    """Return name -> Parameter by the published names, to which the naming of a wrapping cell adds a prefix."""
    return {parameter.name: parameter for parameter in cell.get_parameters()}


def put_parameters(cell: nn.Cell, parameters: dict[str, Any]) -> None:
    """Put ``parameters`` (name -> Parameter; names and shapes checked) into ``cell``, converted to the cell's types."""
    own = _parameters(cell)
    for name, value in parameters.items():
        own[name].set_data(ms.Tensor(value.asnumpy(), own[name].dtype))


# ---- using


def load_weights(network: nn.Cell, path: str | Path) -> None:
    """Load the network's part of a checkpoint, all of it or nothing.

    Raises:
        UNetError: the file is missing, damaged, or of another network; the message says which parameters
            differ.
    """
    CheckpointContents(path).load_into(network)


def resume(train_network: nn.Cell, network: nn.Cell, path: str | Path) -> dict[str, Any]:
    """Restore the training step from a checkpoint, and log what the file holds and what it does not.

    Returns:
        dict: the run's state, with at least "step". A file of the model zoo has no state; its step is the one that
        Adam has counted, or 0 without Adam's moments.

    Raises:
        UNetError: see ``load_weights``; also for a file with only a part of Adam's moments.
    """
    contents = CheckpointContents(path)
    contents.check_weights(network)
    own = _parameters(train_network)
    expected = [name for name in own if name.startswith(MOMENTS)]
    if contents.moments and (missing := [name for name in expected if name not in contents.moments]):
        raise UNetError(f"{path}: damaged: of Adam's moments, {_count(missing, 'are missing')}")
    reshaped = [name for name, value in {**contents.moments, **contents.counters}.items()
                if name in own and value.shape != own[name].shape]
    if reshaped:
        raise UNetError(f"{path}: damaged: of Adam's values, {_count(reshaped, 'are of another shape')}")
    found = {"the network": True, "Adam's moments": bool(contents.moments),
             "Adam's step": "global_step" in contents.counters, "the run's state": contents.state is not None}
    moments = {name: value for name, value in contents.moments.items() if name in expected}
    put_parameters(train_network, {**contents.weights, **moments, **contents.counters})
    logger.info("resuming from %s: it holds %s", path, ", ".join(name for name, there in found.items() if there))
    absent = [name for name, there in found.items() if not there]
    if absent:
        logger.info("it does not hold %s, which start%s afresh", ", ".join(absent), "s" if len(absent) == 1 else "")
    if contents.state is not None:
        return contents.state
    step = contents.counters.get("global_step")
    return {"step": int(step.asnumpy().ravel()[0]) if step is not None and contents.moments else 0}


def newest_readable(folder: str | Path, model_name: str) -> Path | None:
    """Return the newest checkpoint in ``folder`` that can be read, or None.

    Damaged files are skipped with a warning. best.ckpt is the last resort.
    """
    candidates = oldest_first(folder, model_name)[::-1]
    best = Path(folder) / BEST
    for path in [*candidates, *([best] if best.is_file() else [])]:
        try:
            CheckpointContents(path)
            return path
        except UNetError as error:
            logger.warning("WARNING: passed over: %s", error)
    return None


def transfer(network: nn.Cell, path: str | Path, filter_weight: Sequence[str]) -> None:
    """Load the weights that fit a network of another head or task, without Adam and the run's state.

    Args:
        network (nn.Cell): keeps its fresh values where the file has none.
        path (str): the checkpoint.
        filter_weight (list[str]): parameters whose name contains one of these are left out.

    Raises:
        UNetError: missing or damaged file, nothing that fits, or a parameter of another shape that is not
            filtered.
    """
    contents = CheckpointContents(path)
    expected = _parameters(network)
    dropped = [name for name in contents.weights if any(part in name for part in filter_weight)]
    loaded = {name: value for name, value in contents.weights.items() if name in expected and name not in dropped}
    for name, value in loaded.items():
        if value.shape != expected[name].shape:
            raise UNetError(f"{path}: {name} is {tuple(value.shape)} there, {tuple(expected[name].shape)} here; leave "
                            f"it out with --filter_weight=[{','.join([*filter_weight, name])}]")
    if not loaded:
        raise UNetError(f"{path}: no parameter fits: {contents.differences(expected)}")
    put_parameters(network, loaded)
    unused = [name for name in contents.weights if name not in expected and name not in dropped]
    fresh = [name for name in expected if name not in loaded]
    logger.info("transfer from %s: %d parameters loaded", path, len(loaded))
    for names, words in ((dropped, "dropped by filter_weight"), (fresh, "newly initialised"), (unused, "not used")):
        if names:
            logger.info("  %d %s: %s", len(names), words, ", ".join(names))
