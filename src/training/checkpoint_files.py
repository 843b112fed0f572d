"""Names and folders of a run's checkpoints, and which of them is the newest and which the result of the run.

Apart from ``checkpoint``, which reads and writes the files: cross-validation and prediction with ONNX Runtime look for
checkpoints too, and must not import MindSpore.
"""
import re
from pathlib import Path

BEST = "best.ckpt"


def checkpoint_folder(output_path: str | Path, checkpoint_path: str, rank: int = 0) -> Path:
    """Return the folder of the checkpoints of one rank."""
    return Path(output_path) / checkpoint_path / f"ckpt_{rank}"


def checkpoint_name(model_name: str, epoch: int, step: int) -> str:
    """Return the file name of the checkpoint after ``step`` steps of ``epoch``, both from 1."""
    return f"{_prefix(model_name)}{epoch}_{step}.ckpt"


def _prefix(model_name: str) -> str:
    return f"ckpt_{model_name}_adam-"


def oldest_first(folder: str | Path, model_name: str) -> list[Path]:
    """Return the checkpoints of a network in ``folder``, without best.ckpt."""
    return sorted(Path(folder).glob(f"{_prefix(model_name)}*.ckpt"), key=age_key)


def age_key(path: Path) -> tuple[int, list[int]]:
    """Return a sort key: the time of the file, then the numbers in its name, as some file systems keep coarse times."""
    return path.stat().st_mtime_ns, [int(number) for number in re.findall(r"\d+", path.name)]


def final_checkpoint(folder: str | Path, model_name: str) -> Path | None:
    """Return the result of a run: best.ckpt if there is one, else the newest checkpoint, or None if there is none."""
    best = Path(folder) / BEST
    return best if best.is_file() else next(reversed(oldest_first(folder, model_name)), None)
