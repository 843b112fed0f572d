"""How checkpoints are written and read: whole or not at all, to evaluate, to resume or to transfer from.

``callbacks.checkpoint`` decides when a run writes one. A file is one that ``mindspore.load_checkpoint`` reads. It holds
the network's parameters under their published names, those of Adam (moment1.NAME, moment2.NAME, global_step,
beta1_power, beta2_power), and one text, TRAINING_STATE: the state of the run as JSON. If the run has a mean of its
weights (``weight_average``), that is what the file holds under the published names, so that all that reads it uses the
mean; the weights to train on are trained.NAME.
"""
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from src.model_utils.errors import UNetError
from src.model_utils.files import remove, replacing
from src.training.checkpoint_contents import (
    MOMENT,
    TRAINED,
    CheckpointContents,
    counted,
    differences,
    parameters_of,
    put_parameters,
)
from src.training.checkpoint_files import BEST, TRAINING_STATE, FoundCheckpoint, find_checkpoints, run_of, run_title
from src.training.weight_average import WeightAverage

logger = logging.getLogger("unet")


# ---- saving


def save(train_network: nn.Cell, path: str | Path, state: dict[str, Any], average: WeightAverage | None = None) -> Path:
    """Save the training step (network, Adam) and the run's state (a JSON-able dict), whole or not at all.

    With ``average`` the network's weights in the file are their means, and those to train on are saved besides.

    Returns:
        Path: the file.

    Raises:
        UNetError: the file cannot be written, or a weight is not finite.
    """
    path = Path(path)
    for parameter in train_network.get_parameters():
        if not np.isfinite(parameter.asnumpy()).all():
            raise UNetError(f"{parameter.name} is not finite after step {state['step']}; nothing is saved, "
                            f"{last_checkpoint_message(path.parent, run_of(state))}; lower lr, or check the data")
    contents: Any = _with_means(train_network, average.named()) if average else train_network
    with replacing(path) as temporary:
        ms.save_checkpoint(contents, str(temporary), append_dict={TRAINING_STATE: json.dumps(state)},
                           crc_check=True)
    return path


def _with_means(train_network: nn.Cell, means: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    parameters = parameters_of(train_network)
    contents = {**parameters, **{name: ms.Tensor(mean) for name, mean in means.items()},
                **{TRAINED + name: parameters[name] for name in means}}
    return [{"name": name, "data": data} for name, data in contents.items()]


def last_checkpoint_message(folder: str | Path, run: str | None, excluded: Path | None = None) -> str:
    """Say which is the newest checkpoint of a run in a folder, except ``excluded``. All weights in it are finite."""
    found = [one.path for one in find_checkpoints(folder) if one.run == run and one.path != excluded]
    return f"the last good checkpoint is {found[-1]}" if found else "no checkpoint was saved before"


def prune(folder: str | Path, run: str | None, keep: int, step: int | None = None) -> None:
    """Remove the oldest checkpoints of a run until ``keep`` are left, besides best.ckpt; those of no run stay.

    Those after ``step``, that of a checkpoint that was just saved, are of steps that the run has gone back before: it
    was resumed from an older checkpoint, and has trained since. They go too, or they would be taken for its newest.
    """
    if run is None:
        return
    own = [one for one in find_checkpoints(folder) if one.run == run and one.path.name != BEST]
    later = [one for one in own if step is not None and one.step > step]
    for one in later:
        logger.info("%s is removed: the run was resumed from a step before it", one.path)
    for one in [*later, *[one for one in own if one not in later][:-keep]]:
        remove(one.path)


# ---- using


def load_weights(network: nn.Cell, path: str | Path) -> None:
    """Load the network's part of a checkpoint, all of it or nothing.

    Raises:
        UNetError: the file is missing, damaged, or of another network; the message says which parameters
            differ.
    """
    CheckpointContents(path).load_into(network)


def resume(train_network: nn.Cell, network: nn.Cell, path: str | Path,
           average: WeightAverage | None = None) -> dict[str, Any]:
    """Restore the training step, and the mean of its weights if it has one, from a checkpoint.

    The log says what the file holds and what it does not.

    Returns:
        dict: the run's state, with at least "step". A file of the model zoo has no state: its weights and Adam's
        moments are those of a run that begins, at step 0.

    Raises:
        UNetError: see ``load_weights``; also for a file with only a part of Adam's moments.
    """
    contents = CheckpointContents(path)
    evaluated, own = contents.weights_of(network), parameters_of(train_network)
    weights = contents.trained_of(network)
    moments = {f"{moment}.{name}": value for moment, values in contents.moments.items()
               for name, value in contents.named_as(network, values).items()}
    if moments and (missing := [name for name in own if MOMENT.fullmatch(name) and name not in moments]):
        raise UNetError(f"{path}: damaged: of Adam's moments, {counted(missing, 'are missing')}")
    adam = {name: value for name, value in {**moments, **contents.counters}.items() if name in own}
    if reshaped := [name for name, value in adam.items() if value.shape != own[name].shape]:
        raise UNetError(f"{path}: damaged: of Adam's values, {counted(reshaped, 'are of another shape')}")
    found = {"the network": True, "Adam's moments": bool(moments), "Adam's step": "global_step" in contents.counters,
             "the run's state": contents.state is not None}
    if average:
        found["the mean of the weights"] = bool(contents.trained)
    logger.info("resuming from %s: it holds %s", path, ", ".join(name for name, there in found.items() if there))
    absent = [name for name, there in found.items() if not there]
    if absent:
        logger.info("it does not hold %s, which start%s afresh", ", ".join(absent), "s" if len(absent) == 1 else "")
    if contents.state is None:
        logger.info("it is of no run of this project, so a new run begins with it and trains all epochs")
        adam.pop("global_step", None)       # a schedule of the learning rate begins too
    put_parameters(train_network, {**weights, **adam})
    if average:
        average.load({name: value.asnumpy() for name, value in evaluated.items()})
    return contents.state or {"step": 0}


def newest_readable(folder: str | Path, model_name: str, run: str | None = None) -> Path | None:
    """Return the newest checkpoint in ``folder`` that can be read, or None.

    Damaged files are skipped with a warning. best.ckpt is the last resort: only rank 0 has one.

    Args:
        folder: the folder.
        model_name: the network; checkpoints of others are not looked at.
        run: name of the run; None for the only run in the folder, or for checkpoints of the model zoo if there is none.

    Raises:
        UNetError: there are checkpoints of several runs, or only of others.
    """
    found = find_checkpoints(folder, model_name)
    runs = sorted({one.run for one in found if one.run is not None})
    if run is None and len(runs) <= 1:
        run = runs[0] if runs else None
    elif runs and run not in runs:
        reason = "checkpoints of several runs" if run is None else f"no checkpoint of {run_title(run)}, but of others"
        raise UNetError(f"{folder}: {reason}: {_list_runs(found, runs)}; name the one to resume: --resume_ckpt=FILE")
    candidates = [one for one in found if one.run == run or one.is_damaged]
    # What cannot be read at all has no step; it comes first, so that the log tells about it.
    for one in sorted(candidates, key=lambda one: (one.path.name != BEST, one.is_damaged, one.age), reverse=True):
        try:
            CheckpointContents(one.path)
            return one.path
        except UNetError as error:
            logger.warning("WARNING: passed over: %s", error)
    return None


def _list_runs(found: Sequence[FoundCheckpoint], runs: Sequence[str]) -> str:
    newest = {one.run: one for one in found}
    return ", ".join(f"{run_title(run)} to step {newest[run].step} ({newest[run].path.name})" for run in runs)


def _add_channels(loaded: dict[str, Any], expected: dict[str, Any], contents: CheckpointContents) -> None:
    """Widen the weights of the network's first convolution, (out, in, h, w), to the channels that it takes."""
    for name, value in loaded.items():
        own, wanted = value.shape, expected[name].shape
        if len(own) == len(wanted) == 4 and own[1] < wanted[1] and (own[0], *own[2:]) == (wanted[0], *wanted[2:]):
            weights = value.asnumpy()
            mean = np.repeat(weights.mean(axis=1, keepdims=True), wanted[1] - own[1], axis=1)
            loaded[name] = ms.Parameter(ms.Tensor(np.concatenate([weights, mean], axis=1)), name=name)
            given = (contents.state or {}).get("channels") or ("blue, green, red" if own[1] == 3 else "")
            logger.info("transfer from %s: its network takes %d channels%s, this one %d; the first %d keep their "
                        "weights (--channels brings those of the files into this order), each new one starts with the "
                        "mean", contents.path, own[1], f" ({given})" if given else "", wanted[1], own[1])


def transfer(network: nn.Cell, path: str | Path, filter_weight: Sequence[str]) -> dict[str, Any]:
    """Load the weights that fit a network of another head or task, without Adam and the run's state.

    A network may take more channels than the file's: each new one starts with the mean of the weights of the others.

    Args:
        network (nn.Cell): keeps its fresh values where the file has none.
        path (str): the checkpoint.
        filter_weight (list[str]): parameters whose name contains one of these are left out.

    Returns:
        dict: the state of the run that made the file; empty if the file has none.

    Raises:
        UNetError: missing or damaged file, nothing that fits, or a parameter of another shape that is not
            filtered.
    """
    contents = CheckpointContents(path)
    weights, expected = contents.named_as(network, contents.weights), parameters_of(network)
    dropped = [name for name in weights if any(part in name for part in filter_weight)]
    loaded = {name: value for name, value in weights.items() if name in expected and name not in dropped}
    _add_channels(loaded, expected, contents)
    for name, value in loaded.items():
        if value.shape != expected[name].shape:
            raise UNetError(f"{path}: {name} is {tuple(value.shape)} there, {tuple(expected[name].shape)} here; leave "
                            f"it out with --filter_weight=[{','.join([*filter_weight, name])}]")
    if not loaded:
        raise UNetError(f"{path}: no parameter fits: {differences(weights, expected)}")
    put_parameters(network, loaded)
    unused = [name for name in weights if name not in expected and name not in dropped]
    fresh = [name for name in expected if name not in loaded]
    logger.info("transfer from %s: %d parameters loaded", path, len(loaded))
    for names, words in ((dropped, "dropped by filter_weight"), (fresh, "newly initialised"), (unused, "not used")):
        if names:
            logger.info("  %d %s: %s", len(names), words, ", ".join(names))
    return contents.state or {}
