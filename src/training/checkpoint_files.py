"""Where the checkpoints of a run lie, and which of them is the newest and which the run's result. Without MindSpore."""
import re
from pathlib import Path

BEST = "best.ckpt"


def checkpoint_folder(config, rank=0):
    """Folder of the checkpoints of one rank."""
    return Path(config.output_path) / config.checkpoint_path / f"ckpt_{rank}"


def name_prefix(model_name):
    """What the names of a network's checkpoints begin with; best.ckpt does not."""
    return f"ckpt_{model_name}_adam-"


def by_age(folder, model_name):
    """The checkpoints of a network in ``folder``, the oldest first; best.ckpt is not among them."""
    return sorted(Path(folder).glob(f"{name_prefix(model_name)}*.ckpt"), key=age)


def age(path):
    """Key to sort by: time, and of what the file system holds for one moment, the numbers in the name."""
    return path.stat().st_mtime_ns, [int(number) for number in re.findall(r"\d+", path.name)]


def final_checkpoint(folder, model_name):
    """What a run is judged by: best.ckpt, where it evaluated, else the newest; None where there is none."""
    best = Path(folder) / BEST
    return best if best.is_file() else next(reversed(by_age(folder, model_name)), None)
