"""The contents of a checkpoint: parameters by the names of a network, and the state of the run."""
import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn
from mindspore.train.checkpoint_pb2 import Checkpoint

from src.model_utils.errors import UNetError, first_few
from src.model_utils.inputs import MOST_NETWORK, not_there, read_input
from src.model_utils.runtime import first_line
from src.training.checkpoint_files import MOST_RECORDS, TRAINING_STATE, is_of_version_1_0, parse_state
from src.training.parameter_names import renamed, spellings

logger = logging.getLogger("unet")

# moment1.NAME and moment2.NAME, below a prefix if a cell wraps the optimizer.
MOMENT = re.compile(r"(?:.+\.)?(moment[12])\.(.+)")
# The weights that a run trains on, in a checkpoint whose weights are their mean.
TRAINED = "trained."
# Parameters of nn.Adam and the training step besides network and moments. The others are ignored: a constant learning
# rate, for one, comes from the options.
STEP_COUNTERS = ("global_step", "beta1_power", "beta2_power")
MOST_DIMS = 16      # of a parameter; the product of a long list of numbers takes minutes
_IGNORED = {"learning_rate", "scale_sense", "current_iterator_step", "epoch_num", "step_num", "num_batches_tracked"}


class CheckpointContents:
    """The contents of a checkpoint file.

    Attributes:
        path (Path): the file.
        weights (dict): name in the file -> Parameter of the network.
        trained (dict): such a dict of the weights to train on, if those of the network are their mean; else empty.
        moments (dict): moment1 and moment2 -> such a dict of Adam's moments.
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
            self.state = parse_state(state) if state is not None else None
        except (TypeError, ValueError):
            raise UNetError(f"{path}: damaged: its {TRAINING_STATE} cannot be read") from None
        self.weights: dict[str, Any] = {}
        self.trained: dict[str, Any] = {}
        self.moments: dict[str, dict[str, Any]] = {"moment1": {}, "moment2": {}}
        self.counters: dict[str, Any] = {}
        for name, value in parameters.items():
            last = name.rpartition(".")[2]
            if match := MOMENT.fullmatch(name):
                self.moments[match[1]][match[2]] = value
            elif name.startswith(TRAINED):
                self.trained[name.removeprefix(TRAINED)] = value
            elif last in STEP_COUNTERS:
                self.counters[last] = value
            elif last not in _IGNORED:
                self.weights[name] = value

    def named_as(self, network: nn.Cell, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return ``parameters``, weights or moments, by their names in ``network`` where it has them."""
        own = set(parameters_of(network))
        named = renamed(parameters, spellings(own))
        if hasattr(network, "cells_elsewhere") and not own.issuperset(named):
            named = renamed(parameters, spellings(own, network.cells_elsewhere))
            if own.issuperset(named):
                _tell(f"{self.path}: {network.about_elsewhere}")
        if is_of_version_1_0(self.state) and hasattr(network, "from_version_1_0"):
            named = {name: network.from_version_1_0(name, value) for name, value in named.items()}
        return named

    def weights_of(self, network: nn.Cell) -> dict[str, Any]:
        """Return the weights by their names in ``network``: name -> Parameter.

        Raises:
            UNetError: they are not exactly those of ``network``, all of them and no other.
        """
        return self._all_of(network, self.weights)

    def trained_of(self, network: nn.Cell) -> dict[str, Any]:
        """Return the weights to train on, as ``weights_of`` does; only with a mean they differ from those."""
        return self._all_of(network, self.trained or self.weights)

    def _all_of(self, network: nn.Cell, parameters: dict[str, Any]) -> dict[str, Any]:
        named = self.named_as(network, parameters)
        if found := differences(named, parameters_of(network)):
            raise UNetError(f"{self.path}: a checkpoint of another network: {found}; give the YAML file that it was "
                            f"trained with")
        return named

    def load_into(self, network: nn.Cell) -> None:
        """Put all the weights into ``network``, or raise UNetError as ``weights_of`` does."""
        put_parameters(network, self.weights_of(network))


@cache
def _tell(line: str) -> None:
    """Log a line once, however often the checkpoint is used."""
    logger.info("%s", line)


def differences(found: dict[str, Any], expected: dict[str, Any]) -> str:
    """Say how the parameters ``found`` differ from those ``expected`` (name -> Parameter); empty if they fit."""
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    reshaped = [f"{name} is {tuple(found[name].shape)} there, {tuple(expected[name].shape)} here"
                for name in expected if name in found and found[name].shape != expected[name].shape]
    parts = ((missing, "missing in the file"), (unknown, "unknown to the network"), (reshaped, "of another shape"))
    return "; ".join(counted(names, words) for names, words in parts if names)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        found = "no checkpoint was given" if path == Path() else not_there(path, "checkpoint")
        raise UNetError(f"{found}; expected a .ckpt file, with --checkpoint_file_path or --resume_ckpt")
    if path.suffix.lower() in (".onnx", ".mindir"):
        raise UNetError(f"{path}: an exported file, where a .ckpt file is expected; predict.py and infer_unet_onnx.py "
                        f"take ONNX files with --file_name")
    try:
        _check_records(read_input(path, MOST_NETWORK))
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
    if len(records.value) > MOST_RECORDS:
        raise ValueError(f"{len(records.value)} records; at most {MOST_RECORDS} are read")
    wanted: dict[str, int] = {}
    found: Counter[str] = Counter()
    before = None
    for record in records.value:
        if record.tag in found and record.tag != before:
            raise ValueError(f"the records of {record.tag[:50]!r} are not one after another")
        if len(record.tensor.dims) > MOST_DIMS:
            raise ValueError(f"{record.tag[:50]!r} has {len(record.tensor.dims)} dimensions")
        if min(record.tensor.dims, default=0) < 0:
            raise ValueError(f"{record.tag[:50]!r} has the shape {list(record.tensor.dims)[:8]}")
        before = record.tag
        kind = record.tensor.tensor_type
        found[record.tag] += len(record.tensor.tensor_content)     # long parameters come in several records
        if kind == "str":
            record.tensor.tensor_content.decode("utf-32-le")       # native code would make a text of any numbers
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


def counted(names: Sequence[str], words: str) -> str:
    """Say how many names are what ``words`` say, and which."""
    return f"{len(names)} {words} ({first_few(names)})"


def parameters_of(cell: nn.Cell) -> dict[str, Any]:
    """Return name -> Parameter by the published names, to which the naming of a wrapping cell adds a prefix."""
    return {parameter.name: parameter for parameter in cell.get_parameters()}


def put_parameters(cell: nn.Cell, parameters: dict[str, Any]) -> None:
    """Put ``parameters`` (name -> Parameter; names and shapes checked) into ``cell``, converted to the cell's types."""
    own = parameters_of(cell)
    for name, value in parameters.items():
        own[name].set_data(ms.Tensor(value.asnumpy(), own[name].dtype))
