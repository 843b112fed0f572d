"""Checkpoints: saving whole or not at all; evaluating, resuming and transferring from them.

A file holds what ``mindspore.load_checkpoint`` reads: the network's parameters under their published names,
Adam's (moment1.NAME, moment2.NAME, global_step, beta1_power, beta2_power), and one text more, TRAINING_STATE:
JSON of what the run itself has to know.
"""
import json
import logging
import math
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore.train.checkpoint_pb2 import Checkpoint

from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import replacing
from src.model_utils.runtime import first_line
from src.training.checkpoint_files import BEST, age, by_age, name_prefix

logger = logging.getLogger("unet")

TRAINING_STATE = "training_state"
MOMENTS = ("moment1.", "moment2.")
# What nn.Adam and the training step keep beside network and moments; a constant learning rate comes from the
# options, not from the file.
STEP_COUNTERS = ("global_step", "beta1_power", "beta2_power")
_IGNORED = {"learning_rate", "scale_sense", "current_iterator_step", "epoch_num", "step_num"}


# ---- saving


def checkpoint_name(model_name, epoch, step):
    """File name of the checkpoint after ``step`` steps of ``epoch``, both from 1."""
    return f"{name_prefix(model_name)}{epoch}_{step}.ckpt"


def save(train_network, path, state):
    """Save the training step (network, Adam) and the run's state (a JSON-able dict), whole or not at all.

    Raises:
        UNetError: the file cannot be written, or a weight is not finite.
    """
    for parameter in train_network.get_parameters():
        if not np.isfinite(parameter.asnumpy()).all():
            raise UNetError(f"{parameter.name} is not finite after step {state['step']}; nothing is saved, "
                            f"{last_good(Path(path).parent)}; lower lr, or check the data")
    with replacing(path) as temporary:
        try:
            ms.save_checkpoint(train_network, str(temporary), append_dict={TRAINING_STATE: json.dumps(state)},
                               crc_check=True)
        finally:
            with suppress(OSError):     # MindSpore writes there first, and leaves it behind on an error
                temporary.with_suffix(".tmp").unlink()
    return path


def last_good(folder, doubtful=None):
    """In words: the newest checkpoint of a folder but ``doubtful``; those that were saved are finite."""
    found = sorted((path for path in Path(folder).glob("*.ckpt") if path != doubtful), key=age)
    return f"the last good checkpoint is {found[-1]}" if found else "no checkpoint was saved before"


def prune(folder, model_name, keep):
    """Remove the oldest checkpoints of a network beyond ``keep``; best.ckpt is not among them."""
    for path in by_age(folder, model_name)[:-keep]:
        path.unlink()


# ---- reading


class Contents:
    """What a checkpoint file holds.

    Attributes:
        path (Path): the file.
        weights (dict): name -> Parameter of the network.
        moments (dict): name -> Parameter of Adam's moments.
        counters (dict): name -> Parameter of Adam's step counters.
        state (dict): the run's state; None in a file that this project did not write.
    """

    def __init__(self, path):
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

    def complaints(self, expected):
        """What keeps the weights from being those of a network with the parameters ``expected``, in words."""
        missing = [name for name in expected if name not in self.weights]
        unknown = [name for name in self.weights if name not in expected]
        reshaped = [f"{name} is {tuple(self.weights[name].shape)} there, {tuple(expected[name].shape)} here"
                    for name in expected if name in self.weights and self.weights[name].shape != expected[name].shape]
        found = ((missing, "missing in the file"), (unknown, "unknown to the network"), (reshaped, "of another shape"))
        return "; ".join(_count(names, words) for names, words in found if names)

    def check_weights(self, network):
        """Raise UNetError unless the weights are those of ``network``, all of them and no other."""
        complaints = self.complaints(_own(network))
        if complaints:
            raise UNetError(f"{self.path}: a checkpoint of another network: {complaints}; give the YAML file that it "
                            f"was trained with")

    def load_into(self, network):
        """Put the weights into ``network``, all of them, or raise UNetError as ``check_weights`` does."""
        self.check_weights(network)
        fill(network, self.weights)


def _read(path):
    if not path.is_file():
        found = "no checkpoint was given" if path == Path() else f"no such checkpoint: {path}"
        raise UNetError(f"{found}; expected a .ckpt file, with --checkpoint_file_path or --resume_ckpt")
    try:
        _check_records(path.read_bytes())
        return ms.load_checkpoint(str(path), crc_check=True)
    # A damaged file can fail anywhere between the protobuf reader and the tensors it fills.
    except Exception as error:
        raise UNetError(f"{path}: not a whole MindSpore checkpoint ({first_line(error)[:160]})") from None


def _check_records(data):
    """Raise ValueError where MindSpore's reader would end the interpreter: contents that do not fill a shape.

    It looks at the checksum of files that have one, and hands everything else on to native code.
    """
    if data[-17:-10] == b"crc_num":
        data = data[:-17]
    records = Checkpoint()
    records.ParseFromString(data)
    wanted, found = {}, Counter()
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


def _count(names, words):
    return f"{len(names)} {words} ({first_few(names)})"


def _own(cell):
    """name -> Parameter of a cell, by the published names (a wrapping cell's own naming puts a prefix before them)."""
    return {parameter.name: parameter for parameter in cell.get_parameters()}


def fill(cell, parameters):
    """Put ``parameters`` (names and shapes checked) into ``cell``, in the cell's own types."""
    own = _own(cell)
    for name, value in parameters.items():
        own[name].set_data(ms.Tensor(value.asnumpy(), own[name].dtype))


# ---- using


def load_weights(network, path):
    """Load the network's part of a checkpoint; all of it, or nothing.

    Raises:
        UNetError: the file is missing, damaged, or of another network; the message says which parameters
            differ.
    """
    Contents(path).load_into(network)


def resume(train_network, network, path):
    """Restore the training step from a checkpoint, and say in the log what was in it and what was not.

    Returns:
        dict: the run's state, with at least "step"; for a file of the model zoo the step that Adam has counted,
        0 if it has not.

    Raises:
        UNetError: see ``load_weights``; also a file that holds a part of Adam's moments.
    """
    contents = Contents(path)
    contents.check_weights(network)
    own = _own(train_network)
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
    fill(train_network, {**contents.weights, **moments, **contents.counters})
    logger.info("resuming from %s: it holds %s", path, ", ".join(name for name, there in found.items() if there))
    absent = [name for name, there in found.items() if not there]
    if absent:
        logger.info("it does not hold %s, which start%s afresh", ", ".join(absent), "s" if len(absent) == 1 else "")
    if contents.state is not None:
        return contents.state
    step = contents.counters.get("global_step")
    return {"step": int(step.asnumpy().ravel()[0]) if step is not None and contents.moments else 0}


def newest_whole(folder, model_name):
    """Path of the newest checkpoint in ``folder`` that can be read; None where there is none.

    Damaged files are passed over with a warning. best.ckpt is the last resort.
    """
    candidates = by_age(folder, model_name)[::-1]
    best = Path(folder) / BEST
    for path in [*candidates, *([best] if best.is_file() else [])]:
        try:
            Contents(path)
            return path
        except UNetError as error:
            logger.warning("WARNING: passed over: %s", error)
    return None


def transfer(network, path, filter_weight):
    """Load from a checkpoint what fits a network of another head or task, without Adam and the run's state.

    Args:
        network (nn.Cell): keeps its fresh values where the file has none.
        path (str): the checkpoint.
        filter_weight (list[str]): parameters whose name contains one of these are left out.

    Raises:
        UNetError: missing or damaged file, nothing that fits, or a parameter of another shape that is not
            filtered.
    """
    contents = Contents(path)
    expected = _own(network)
    dropped = [name for name in contents.weights if any(part in name for part in filter_weight)]
    loaded = {name: value for name, value in contents.weights.items() if name in expected and name not in dropped}
    for name, value in loaded.items():
        if value.shape != expected[name].shape:
            raise UNetError(f"{path}: {name} is {tuple(value.shape)} there, {tuple(expected[name].shape)} here; leave "
                            f"it out with --filter_weight=[{','.join([*filter_weight, name])}]")
    if not loaded:
        raise UNetError(f"{path}: no parameter fits: {contents.complaints(expected)}")
    fill(network, loaded)
    unused = [name for name in contents.weights if name not in expected and name not in dropped]
    fresh = [name for name in expected if name not in loaded]
    logger.info("transfer from %s: %d parameters loaded", path, len(loaded))
    for names, words in ((dropped, "dropped by filter_weight"), (fresh, "newly initialised"), (unused, "not used")):
        if names:
            logger.info("  %d %s: %s", len(names), words, ", ".join(names))
