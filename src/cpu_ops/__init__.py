"""Faster convolutions on a CPU: MindSpore's oneDNN in a better memory layout, and Winograd's algorithm.

MindSpore's own CPU kernels give oneDNN plain NCHW tensors, for which it copies the image into a matrix (im2col). In
NHWC the same library is two to four times faster and needs no such copy. The 3x3 convolutions, nearly all of the work
of a U-Net, also need only a quarter of the multiplications (csrc/winograd.cc). The operators are compiled on the user's
machine at first use.
"""
import logging
import os
from typing import Any

from src.cpu_ops.build import CannotBuild, build_library, has_matrix_units
from src.model_utils.errors import UNetError
from src.model_utils.runtime import ISA_VARIABLE, cap_cpu_instruction_set
from src.model_utils.trust import Untrusted
from src.networks.layers import MINDSPORE, MOMENTUM, Layers

logger = logging.getLogger("unet")


def choose_backend(config: Any, device: str, amp_level: str = "O0") -> Layers:
    """Choose the layer set to build a network from, and log which one and why.

    Args:
        config (Config): ``cpu_ops`` (auto: the compiled operators if they can be built; on: an error if they cannot;
            off: MindSpore's own), ``cpu_precision``, ``context_mode``, and ``accumulate_steps`` (in a step of k parts
            batch norm keeps the k-th root of its momentum at each part, so that a step changes its moving averages
            as much as one of a single part).
        device: Ascend, GPU or CPU.
        amp_level: mixed precision of the training step; the compiled operators take only float32 tensors.

    Raises:
        UNetError: ``cpu_ops`` is on or ``cpu_precision`` bfloat16, and the operators cannot be built or used; or
            the processor has no units for bfloat16.
    """
    library, reason, is_untrusted = None, None, False
    if device != "CPU":
        reason = f"the device is {device}"
    elif config.cpu_ops == "off":
        reason = "cpu_ops is off"
    elif config.context_mode != "graph":
        reason = "they need graph mode"
    elif amp_level != "O0":
        reason = f"they take float32 tensors, and amp_level is {amp_level}"
    else:
        try:
            library = build_library()
        except (CannotBuild, UNetError) as error:
            reason, is_untrusted = str(error), isinstance(error, Untrusted)
    momentum = MOMENTUM ** (1 / config.accumulate_steps)
    rounded = device == "CPU" and config.cpu_precision == "bfloat16"
    if library is not None:
        if rounded and not has_matrix_units(library):
            limit = f" under {ISA_VARIABLE}={os.environ[ISA_VARIABLE]}" if ISA_VARIABLE in os.environ else ""
            raise UNetError(f"cpu_precision is bfloat16, which needs a processor with Intel's AMX, and oneDNN finds "
                            f"none here{limit}; use --cpu_precision=float32, which is faster on this processor")
        from src.cpu_ops.layers import OneDnnLayers

        logger.info("convolutions: compiled CPU operators%s (%s)", " in bfloat16" if rounded else "", library)
        return OneDnnLayers(library, config.cpu_precision, momentum)
    if config.cpu_ops == "on" or rounded:
        raise UNetError(f"{'cpu_precision is bfloat16' if rounded else 'cpu_ops is on'}, but the compiled operators "
                        f"cannot be used: {reason}")
    if device == "CPU":
        logger.log(logging.WARNING if is_untrusted else logging.INFO,
                   "%sconvolutions: MindSpore's own kernels; the faster compiled ones are not used because %s",
                   "WARNING: " if is_untrusted else "", reason)
        cap_cpu_instruction_set()
    return MINDSPORE if momentum == MOMENTUM else Layers(momentum)
