"""Files that appear whole or not at all, their names in an output folder, and the order of file names."""
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from src.model_utils.errors import UNetError

# What the output folders of train.py, eval.py and train_folds.py hold.
CONFIG_YAML, SPLITS_JSON, DATASET_JSON = "config.yaml", "splits.json", "dataset.json"
HISTORY_CSV, PROGRESS_PNG, REPORT_HTML = "history.csv", "progress.png", "report.html"
METRICS_JSON, DRAW_EVAL = "metrics.json", "draw_eval"
FOLDS_JSON, FOLDS_MD = "folds.json", "folds.md"


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; the file written there replaces ``path`` at the end.

    The file is flushed to the disk before it is renamed, so a crash leaves the old file or the new one. After
    an error the temporary file is removed and the old file stays.

    Raises:
        UNetError: the folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())     # MindSpore makes its checkpoints readable only by their owner
        os.replace(temporary, path)
    except OSError as error:
        raise UNetError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def temporary_path(path: Path) -> Path:
    """Return a hidden path beside ``path`` that names this process, so that ``remove_leftovers`` knows whose it is.

    The suffix is that of ``path``, because MindSpore and OpenCV choose the format by it.
    """
    return path.with_name(f".{path.stem}.unet-{os.getpid()}{path.suffix}")


def _umask() -> int:
    """Return the permissions that the user withholds from new files. Setting them is the only way to read them."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def with_ending(file_name: str | Path, ending: str) -> Path:
    """Return the path of ``file_name``, with ``ending`` (".onnx") added unless it ends so already."""
    path = Path(file_name)
    return path if path.suffix.lower() == ending else path.with_name(path.name + ending)


def cache_folder() -> Path:
    """Return the user's folder for files that can be made again: compiled operators, exported checkpoints."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unet_mindspore"


def remove_leftovers(folder: str | Path) -> None:
    """Remove the temporary files of killed processes from ``folder``; files of running processes stay."""
    for path in Path(folder).glob(".*.unet-*"):
        match = re.search(r"\.unet-(\d+)(\.[^.]*)?$", path.name)
        if match and not _is_running(int(match[1])):
            with suppress(OSError):
                path.unlink()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:     # a process of another user
        pass
    return True


def write_atomically(path: str | Path, data: bytes | memoryview) -> None:
    """Write ``data`` to ``path``, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def natural(name: object) -> list[tuple[bool, int, str]]:
    """Return a sort key that counts numbers in names as numbers: 2.png comes before 10.png."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", str(name))]
