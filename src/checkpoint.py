"""Checkpoints: saving whole or not at all, restoring with every parameter accounted for."""
import logging
from pathlib import Path

import mindspore as ms

from src.model_utils.errors import UNetError
from src.model_utils.files import replacing
from src.model_utils.runtime import first_line

logger = logging.getLogger("unet")

BEST = "best.ckpt"
# What nn.Adam and the training step keep beside the network's own parameters.
_OPTIMIZER_PREFIXES = ("moment1.", "moment2.")
_OPTIMIZER_NAMES = {"global_step", "beta1_power", "beta2_power", "learning_rate", "scale_sense",
                    "current_iterator_step"}


def checkpoint_folder(config, rank=0):
    """Folder of the checkpoints of one rank."""
    return Path(config.output_path) / config.checkpoint_path / f"ckpt_{rank}"


def checkpoint_name(model_name, epoch, step):
    """File name of the checkpoint after ``step`` steps of ``epoch``, both from 1."""
    return f"{_prefix(model_name)}{epoch}_{step}.ckpt"


def _prefix(model_name):
    return f"ckpt_{model_name}_adam-"


def save(train_network, path):
    """Save the parameters of the training step (network, Adam's moments, step count), whole or not at all."""
    with replacing(path) as temporary:
        ms.save_checkpoint(train_network, str(temporary), crc_check=True)
    return path


def prune(folder, model_name, keep):
    """Remove the oldest checkpoints of a network beyond ``keep``; best.ckpt is not among them."""
    found = sorted(Path(folder).glob(f"{_prefix(model_name)}*.ckpt"), key=lambda path: path.stat().st_mtime_ns)
    for path in found[:-keep]:
        path.unlink()


def load_parameters(path):
    """Read a checkpoint file.

    Returns:
        dict: name -> Parameter.

    Raises:
        UNetError: missing, damaged, or not a checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise UNetError(f"no such checkpoint: {path}; give a .ckpt file with --checkpoint_file_path")
    try:
        return ms.load_checkpoint(str(path), crc_check=True)
    # A damaged file can fail anywhere between the protobuf reader and the tensors it fills.
    except Exception as error:
        raise UNetError(f"{path}: not a whole MindSpore checkpoint ({first_line(error)[:160]})") from None


def load_weights(network, path):
    """Load the network's part of a checkpoint; all of it, or nothing.

    Raises:
        UNetError: the file is missing, damaged, or of another network; the message says which parameters
            differ.
    """
    parameters = load_parameters(path)
    expected = dict(network.parameters_and_names())
    found = {name: value for name, value in parameters.items() if not _is_optimizer(name)}
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    reshaped = [f"{name} is {tuple(found[name].shape)} there, {tuple(expected[name].shape)} here"
                for name in expected if name in found and found[name].shape != expected[name].shape]
    if missing or unexpected or reshaped:
        parts = [_some(names, words) for names, words in ((missing, "missing in the file"),
                                                          (unexpected, "unknown to the network"),
                                                          (reshaped, "of another shape")) if names]
        raise UNetError(f"{path}: a checkpoint of another network: {'; '.join(parts)}; give the YAML file that it was "
                        f"trained with")
    ms.load_param_into_net(network, found, strict_load=False)


def _is_optimizer(name):
    return name.startswith(_OPTIMIZER_PREFIXES) or name in _OPTIMIZER_NAMES


def _some(names, words, most=3):
    shown = ", ".join(names[:most])
    return f"{len(names)} {words} ({shown}{', ...' if len(names) > most else ''})"
