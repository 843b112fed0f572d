"""What the machine can do."""
from src.model_utils.devices import choose_device
from src.model_utils.errors import UNetError
from src.model_utils.memory import available_bytes
from src.model_utils.processors import usable_processors
from src.planning.facts import Machine


def look(device_target: str, cpu_ops: str) -> Machine:
    """Look at the machine.

    Args:
        device_target, cpu_ops: the options.

    Raises:
        UNetError: this MindSpore does not support the device.
    """
    device = choose_device(device_target)
    fast, matrix_units = (False, False) if device != "CPU" or cpu_ops == "off" else _operators()
    return Machine(device, usable_processors(), available_bytes() / 1e9, fast, matrix_units)


def _operators() -> tuple[bool, bool]:
    """Return whether the compiled operators can be used, and whether the processor has units for bfloat16."""
    from src.cpu_ops.build import CannotBuild, build_library, has_matrix_units

    try:
        library = build_library()
    except (CannotBuild, UNetError):
        return False, False
    return True, has_matrix_units(library)
