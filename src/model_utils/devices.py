"""The devices that the installed MindSpore can use."""
from src.model_utils.errors import UNetError


def choose_device(target: str) -> str:
    """Return the device of the option ``device_target``: Ascend, GPU or CPU. auto is the first that is supported.

    Raises:
        UNetError: this MindSpore does not support the device.
    """
    from mindspore import hal

    supported = [name for name in ("Ascend", "GPU", "CPU") if name == "CPU" or hal.is_available(name)]
    if target == "auto":
        return supported[0]
    if target not in supported:
        raise UNetError(f"device_target {target}: this MindSpore supports only {' and '.join(supported)}; "
                        f"use --device_target={supported[0]}, or install MindSpore for {target} and its driver")
    return target
