"""What MindSpore needs at its start: instruction set, device, mode, seeds, ranks."""
import logging
import os
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata

from src.model_utils.config import Config
from src.model_utils.device_adapter import get_device_id
from src.model_utils.devices import choose_device
from src.model_utils.errors import UNetError
from src.model_utils.memory import save_memory
from src.model_utils.packages import import_blindly

logger = logging.getLogger("unet")

ISA_VARIABLE = "ONEDNN_MAX_CPU_ISA"


@dataclass(frozen=True)
class Runtime:
    """The device and the rank of this process.

    Attributes:
        device: Ascend, GPU or CPU.
        rank: from 0 to ``group_size`` - 1.
        group_size: number of ranks.
    """

    device: str
    rank: int = 0
    group_size: int = 1


def quiet_mindspore() -> None:
    """Keep MindSpore's warnings out of the log, unless the user has chosen a level. Call it before MindSpore's import.

    Its import does not look at the current folder either; see ``import_blindly``.

    At the default level every run prints warnings that the user can do nothing about, such as the deprecation
    of nn.Adam.
    """
    import_blindly()
    os.environ.setdefault("GLOG_v", "3")
    # MindSpore sets it too. Before 2.10 it cannot be imported if ONNX, loaded before it, has found another value.
    os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")
    # MindSpore's Python part also logs exceptions that it raises anyway. They end in one line of our own.
    logging.getLogger(f"ME.mindspore.log.{os.getpid()}").addFilter(lambda record: False)


def cap_cpu_instruction_set(version: str | None = None, cpuinfo: str = "/proc/cpuinfo") -> None:
    """Keep oneDNN from using its slow reference kernel for convolutions on the CPU.

    Since MindSpore 2.9 (oneDNN 3.10) a convolution in plain NCHW layout finds no optimised AVX-512 kernel and
    uses the reference code, which is about 130 times slower. Limited to AVX2, oneDNN uses its matrix kernel
    instead. oneDNN reads the variable at its first use, so call this before the first operator. A value that
    the user has set stays.

    Args:
        version (str): MindSpore version; the installed one if None.
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


def start_runtime(config: Config) -> Runtime:
    """Set the device, the mode and the seed, and join the other ranks.

    Args:
        config (Config): uses device_target, device_id, context_mode, seed, run_distribute and enable_modelarts.

    Raises:
        UNetError: this MindSpore does not support the device, or no launcher started this process as a rank.
    """
    import mindspore as ms

    device = choose_device(config.device_target)
    # Once MindSpore runs, set_device is refused, even for the same device. A notebook may already run on the CPU.
    if not device == ms.get_context("device_target") == "CPU":
        _set_device(device, card_number(config))
    if device == "CPU":
        save_memory()
    ms.set_context(mode=ms.GRAPH_MODE if config.context_mode == "graph" else ms.PYNATIVE_MODE)
    seed(config)
    rank, group_size = _join_ranks() if config.run_distribute else (0, 1)
    return Runtime(device, rank, group_size)


def seed(config: Config) -> None:
    """Make the next network's initial weights those of the option ``seed``."""
    import mindspore as ms

    ms.set_seed(config.seed)


def card_number(config: Config) -> int:
    """Return the number of the card of this process: ``device_id``, but with several ranks what the launcher says."""
    if config.run_distribute and config.device_id >= 0:
        logger.info("device_id %d is not used: the launcher gives each rank a card of its own", config.device_id)
    if config.run_distribute or config.device_id < 0:
        return get_device_id(config.enable_modelarts)
    return config.device_id


@lru_cache      # once MindSpore runs, even the same device is refused
def _set_device(device: str, device_id: int) -> None:
    import mindspore as ms

    try:
        ms.set_device(device, 0 if device == "CPU" else device_id)
    except (RuntimeError, ValueError) as error:
        raise UNetError(f"device_target {device}, device_id {device_id}: {first_line(error)}") from None


@lru_cache      # prediction joins the other ranks before a network is loaded, which starts the runtime again
def _join_ranks() -> tuple[int, int]:
    import mindspore as ms
    from mindspore.communication import get_group_size, get_rank, init

    # Of a rank whose step takes longer than that of the others by so many seconds; MindSpore's default is 30. Versions
    # before 2.10 do not know the variable.
    os.environ.setdefault("MS_CPU_COMM_OP_TIMEOUT", "600")
    try:
        init()
    except (RuntimeError, ValueError) as error:
        raise UNetError(f"run_distribute: cannot join the other ranks; start with msrun, mpirun or a launcher in "
                        f"scripts/ ({first_line(error)})") from None
    group_size = get_group_size()
    # The mean of the gradients over the ranks, so that a learning rate means the same on one device and on eight.
    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, device_num=group_size,
                                 gradients_mean=True)
    return get_rank(), group_size


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text. MindSpore appends stacks for its own developers."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
