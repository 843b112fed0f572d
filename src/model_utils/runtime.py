"""What must be settled before and around MindSpore's start: instruction set, device, mode, seeds, ranks."""
import logging
import os
from dataclasses import dataclass
from importlib import metadata

from src.model_utils.device_adapter import get_device_id
from src.model_utils.errors import UNetError
from src.model_utils.memory import save_memory

logger = logging.getLogger("unet")

ISA_VARIABLE = "ONEDNN_MAX_CPU_ISA"


@dataclass(frozen=True)
class Runtime:
    """Where this process runs: ``device`` is Ascend, GPU or CPU; ``rank`` counts from 0 to ``group_size``-1."""

    device: str
    rank: int = 0
    group_size: int = 1


def quiet_mindspore():
    """Keep MindSpore's warnings out of the log, unless the user has chosen a level. Call before its import.

    At its default level every run prints warnings that its user can do nothing about (nn.Adam's own
    deprecation note, for one), between the lines that matter.
    """
    os.environ.setdefault("GLOG_v", "3")
    # Its Python part also announces exceptions that it raises anyway, and that end in one line of ours.
    logging.getLogger(f"ME.mindspore.log.{os.getpid()}").addFilter(lambda record: False)


def cap_cpu_instruction_set(version=None, cpuinfo="/proc/cpuinfo"):
    """Keep convolutions on the CPU off oneDNN's reference kernel.

    From MindSpore 2.9 on (oneDNN 3.10) a convolution in plain NCHW layout finds no optimised AVX-512 kernel
    and falls to the reference code, about 130 times slower; told to stop at AVX2, oneDNN takes its matrix
    kernel instead. oneDNN reads the variable at its first use, so this comes before the first operator.
    A value that the user has set stays.

    Args:
        version (str): MindSpore version; the installed one when None.
        cpuinfo (str): file that lists the processor's flags.
    """
    version = version or metadata.version("mindspore")
    if tuple(int(part) for part in version.split(".")[:2]) < (2, 9) or ISA_VARIABLE in os.environ:
        return
    try:
        with open(cpuinfo, encoding="utf-8") as file:
            has_avx512 = "avx512f" in file.read()
    except OSError:
        return
    if has_avx512:
        os.environ[ISA_VARIABLE] = "AVX2"
        logger.info("%s=AVX2 set: without it MindSpore %s runs convolutions on this CPU about 130 times slower",
                    ISA_VARIABLE, version)


def start(config):
    """Choose the device, the mode and the seeds, and join the other ranks.

    Args:
        config (Config): device_target, device_id, context_mode, seed and run_distribute count.

    Returns:
        Runtime.

    Raises:
        UNetError: this MindSpore does not offer the device, or there is no launcher to join.
    """
    import mindspore as ms

    device = _choose_device(config.device_target)
    # MindSpore refuses to be told once it runs, even what it does already: a notebook may be on the CPU by default.
    if not device == ms.get_context("device_target") == "CPU":
        _set_device(device, config.device_id if config.device_id >= 0 else
                    get_device_id(config.enable_modelarts))
    if device == "CPU":
        save_memory()
    ms.set_context(mode=ms.GRAPH_MODE if config.context_mode == "graph" else ms.PYNATIVE_MODE)
    ms.set_seed(config.seed)
    rank, group_size = _join_ranks() if config.run_distribute else (0, 1)
    return Runtime(device, rank, group_size)


def _set_device(device, device_id):
    import mindspore as ms

    try:
        ms.set_device(device, 0 if device == "CPU" else device_id)
    except (RuntimeError, ValueError) as error:
        raise UNetError(f"device_target {device}, device_id {device_id}: {first_line(error)}") from None


def _choose_device(target):
    from mindspore import hal

    offered = [name for name in ("Ascend", "GPU", "CPU") if name == "CPU" or hal.is_available(name)]
    if target == "auto":
        return offered[0]
    if target not in offered:
        raise UNetError(f"device_target {target}: this MindSpore offers {' and '.join(offered)} alone; "
                        f"use --device_target={offered[0]}, or install MindSpore for {target} and its driver")
    return target


def _join_ranks():
    import mindspore as ms
    from mindspore.communication import get_group_size, get_rank, init

    try:
        init()
    except (RuntimeError, ValueError) as error:
        raise UNetError(f"run_distribute: the ranks cannot be joined; start through msrun, mpirun or the scripts "
                        f"folder's launchers ({first_line(error)})") from None
    group_size = get_group_size()
    # The mean over ranks, so that the learning rate means the same on one device and on eight.
    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, device_num=group_size,
                                 gradients_mean=True)
    return get_rank(), group_size


def first_line(error):
    """First line of an exception's text; MindSpore's go on with stacks for its own developers."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
