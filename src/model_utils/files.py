"""Files that appear whole or not at all, their names in an output folder, and the order of names."""
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path

from src.model_utils.errors import UNetError

# What the output folders of train.py, eval.py and train_folds.py hold.
CONFIG_YAML, SPLITS_JSON, DATASET_JSON = "config.yaml", "splits.json", "dataset.json"
HISTORY_CSV, PROGRESS_PNG, REPORT_HTML = "history.csv", "progress.png", "report.html"
METRICS_JSON, DRAW_EVAL = "metrics.json", "draw_eval"
FOLDS_JSON, FOLDS_MD = "folds.json", "folds.md"


@contextmanager
def replacing(path):
    """Yield a temporary name beside ``path``; what is written there takes the place of ``path`` at the end.

    The file is flushed to the disk before it is renamed, so a crash leaves the old file or the new one. On
    an error the temporary file is removed and the old file stays.

    Raises:
        UNetError: the folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    # The suffix stays: MindSpore and OpenCV choose the format by it.
    temporary = path.with_name(f".{path.stem}.unet-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())     # MindSpore's checkpoints come as their owner's alone
        os.replace(temporary, path)
    except OSError as error:
        raise UNetError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _umask():
    """What the user takes away from new files' permissions; it can be read by setting it alone."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def with_ending(file_name, ending):
    """Path of ``file_name``, with ``ending`` (".onnx") where it does not have it already."""
    path = Path(file_name)
    return path if path.suffix.lower() == ending else path.with_name(path.name + ending)


def cache_folder():
    """The user's folder for what can be made again: compiled operators, exported checkpoints."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unet_mindspore"


def remove_leftovers(folder):
    """Remove the temporary files that killed processes have left in ``folder``.

    Those of processes that still run are left alone.
    """
    for path in Path(folder).glob(".*.unet-*"):
        match = re.search(r"\.unet-(\d+)(\.[^.]*)?$", path.name)
        if match and not _is_running(int(match[1])):
            with suppress(OSError):
                path.unlink()


def _is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:     # somebody else's
        pass
    return True


def write_atomically(path, data):
    """Write ``data`` (bytes) to ``path``, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def natural(name):
    """Key of an order in which numbers in names count as numbers: 2.png before 10.png."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", str(name))]
