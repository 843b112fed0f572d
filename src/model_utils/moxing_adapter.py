"""ModelArts: copies data, checkpoints and earlier output from its object store before a run, and the output back.

The ``moxing`` package, which is part of ModelArts' images, makes the copies in a process of its own: its threads
stay out of this process, and a copy that hangs can be ended.
"""
import functools
import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src.model_utils import local_adapter
from src.model_utils.config import Config
from src.model_utils.config import config as command_line
from src.model_utils.errors import UNetError
from src.model_utils.files import make_folder, temporary_path
from src.model_utils.inputs import open_input
from src.model_utils.lock import ServerLock
from src.model_utils.python_process import python_command
from src.model_utils.trust import check_links

logger = logging.getLogger("unet")

# Copies argv[1] to argv[2]. The second one ends with status NOTHING_THERE if there is no argv[1] (a moxing that cannot
# tell copies).
NOTHING_THERE = 3
COPY = "import moxing; moxing.file.copy_parallel(sys.argv[1], sys.argv[2])"
COPY_IF_THERE = f"""
import moxing
if not getattr(moxing.file, "exists", bool)(sys.argv[1]):
    sys.exit({NOTHING_THERE})
moxing.file.copy_parallel(sys.argv[1], sys.argv[2])
"""

# How long the upload waits for the server's other processes, which may hang in a collective operation after a fault.
LEAVE_SECONDS = 60

# ModelArts' launcher sets the same variables as other launchers.
get_device_id = local_adapter.get_device_id
get_device_num = local_adapter.get_device_num
get_rank_id = local_adapter.get_rank_id

# Calls of sync_data in this process. The processes of a server make the same calls in the same order.
_global_sync_count = 0


def get_job_id() -> str:
    """Return the name of the job (``JOB_ID``), "default" when not set."""
    return os.environ.get("JOB_ID") or "default"


def on_modelarts(main: Callable[[Config], int | None], config: Config) -> int | None:
    """Download data, checkpoints and earlier output to this server, call ``main(config)``, and upload its output.

    The processes of a server that use the same folders copy once: the first one copies, the others wait for it.
    The output is uploaded however ``main`` ends, after the other processes of the server have ended or
    LEAVE_SECONDS are over.

    Args:
        main (callable): takes the Config, returns an exit status or None.
        config (Config): data_url is copied to data_path, checkpoint_url to load_path, train_url to output_path, and
            afterwards output_path to train_url.

    Returns:
        What ``main`` returned.

    Raises:
        UNetError: there is no moxing package, or a copy failed, in this process or in the one that copies.
    """
    _check(config)
    # msrun's scheduler runs the same script, but ends inside MindSpore before it needs any file.
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        return main(config)
    # The folders are part of the name: processes with folders of their own make copies of their own.
    folders = [Path(path).resolve() for path in (config.data_path, config.load_path, config.output_path)]
    lock = ServerLock(f"modelarts-{_group_name(*folders)}", config.modelarts_timeout)
    lock.once(lambda: _download(config))
    failed = True
    try:
        status = main(_with_unzipped_data(config))
        failed = bool(status)
    finally:
        problem = lock.leave(lambda: _upload(config), failed, LEAVE_SECONDS)
        if problem and failed:      # the exit status stands for what went wrong first
            logger.error("ERROR: %s", problem)
    if problem and not failed:
        raise UNetError(problem)
    return status


def moxing_wrapper(pre_process: Callable[[], object] | None = None,
                   post_process: Callable[[], object] | None = None) -> Callable[[Callable], Callable]:
    """Make the decorator of a program's main function that copies as ``on_modelarts`` does, if enable_modelarts is on.

    Args:
        pre_process (callable): called after the download and before the function.
        post_process (callable): called after the function and before the upload.
    """
    def wrapper(run_func: Callable) -> Callable:
        @functools.wraps(run_func)
        def wrapped_func(*args: Any, **kwargs: Any) -> Any:
            def main(config: Config) -> None:
                command_line.data_path = config.data_path       # of the data that were unzipped
                if pre_process:
                    pre_process()
                results.append(run_func(*args, **kwargs))
                if post_process:
                    post_process()

            if not command_line.enable_modelarts:
                return run_func(*args, **kwargs)
            results: list[Any] = []
            on_modelarts(main, command_line)
            return results[0]
        return wrapped_func
    return wrapper


def sync_data(from_path: str, to_path: str) -> None:
    """Copy a folder between the object store and this server, once for all processes of the server.

    Raises:
        UNetError: there is no moxing package, or the copy failed, in this process or in the one that copies.
    """
    global _global_sync_count       # noqa: PLW0603 - the model zoo's name
    _check_moxing("sync_data copies from and to ModelArts' object store")
    _global_sync_count += 1
    call = _group_name(_global_sync_count, from_path, to_path)
    seconds = command_line.modelarts_timeout
    ServerLock(f"sync-{call}", seconds).once(lambda: _copy(from_path, to_path, "sync_data", seconds))


def persistent_path(config: Config, path: str) -> str:
    """Return where to write ``path`` so that it outlives the run: on ModelArts inside output_path, else ``path``."""
    return os.path.join(config.output_path, path) if config.enable_modelarts else path


def _group_name(*parts: object) -> str:
    """Return a name for the processes of a server that work on the same things in the same job."""
    return hashlib.sha256("\0".join(map(str, (get_job_id(), *parts))).encode()).hexdigest()[:16]


def _check_moxing(reason: str) -> None:
    if importlib.util.find_spec("moxing") is None:
        raise UNetError(f"{reason}, but there is no Python package moxing here; it is part of ModelArts' images: run "
                        f"there, or set enable_modelarts to False and give data_path")


def _check(config: Config) -> None:
    _check_moxing("enable_modelarts is True")
    if config.need_modelarts_dataset_unzip and not config.modelarts_dataset_unzip_name:
        raise UNetError("need_modelarts_dataset_unzip is True, but modelarts_dataset_unzip_name is empty; give the "
                        "name of the archive in data_url, without .zip")


def _download(config: Config) -> None:
    """Copy data, checkpoints and the output of an earlier job to this server, and unzip an archive."""
    for option, target, code in (("data_url", config.data_path, COPY), ("checkpoint_url", config.load_path, COPY),
                                 ("train_url", config.output_path, COPY_IF_THERE)):
        if getattr(config, option):
            try:
                make_folder(Path(target))
            except OSError as error:
                raise UNetError(f"{option}: cannot make the folder {target}: {error.strerror}") from None
            _copy(getattr(config, option), target, option, config.modelarts_timeout, code)
    if config.need_modelarts_dataset_unzip:
        folder = _unzipped_folder(config)
        unzip(folder.with_name(f"{folder.name}.zip"), folder)


def _upload(config: Config) -> None:
    """Copy the output to train_url."""
    if not config.train_url:
        logger.warning("WARNING: train_url is not set; the results stay in %s", config.output_path)
    elif not Path(config.output_path).is_dir():
        logger.info("nothing to copy to train_url: there is no folder %s", config.output_path)
    else:
        _copy(config.output_path, config.train_url, "train_url", config.modelarts_timeout)


def _copy(source: str, target: str, option: str, seconds: float, code: str = COPY) -> None:
    started = time.perf_counter()
    try:
        result = subprocess.run(python_command(code, source, target), capture_output=True, text=True,
                                timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise UNetError(f"{option}: copying {source} to {target} did not end in {seconds} s; raise "
                        f"modelarts_timeout if there is that much to copy") from None
    if result.returncode == NOTHING_THERE:
        logger.info("%s: nothing to copy, there is no %s yet", option, source)
        return
    if result.returncode:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()] or ["no message"]
        raise UNetError(f"{option}: copying {source} to {target} failed: {lines[-1][:300]}")
    logger.info("%s: %s copied to %s in %.1f s", option, source, target, time.perf_counter() - started)


def _unzipped_folder(config: Config) -> Path:
    return Path(config.data_path) / config.modelarts_dataset_unzip_name


def _with_unzipped_data(config: Config) -> Config:
    if not config.need_modelarts_dataset_unzip:
        return config
    return config.replace(data_path=str(_unzipped_folder(config)))


def unzip(archive: Path, folder: Path) -> None:
    """Unzip ``archive`` to ``folder``, whole or not at all. If ``folder`` exists already, nothing is done.

    If everything in the archive is inside one folder with the name of ``folder``, that folder is taken.

    Args:
        archive (Path): the zip file; it stays.
        folder (Path): the new folder.

    Raises:
        UNetError: the archive is missing, damaged or no zip file, or larger than the free space.
    """
    if folder.is_dir():
        logger.info("%s is there already; %s is not unzipped again", folder, archive.name)
        return
    temporary = temporary_path(folder)
    try:
        check_links(folder.parent)
        with open_input(archive) as stored, zipfile.ZipFile(stored) as file:
            _check_space(file, archive, folder.parent)
            temporary.mkdir(mode=0o700)
            content = temporary / "content"     # has the usual permissions, which its parent has not
            file.extractall(content)
        inner = content / folder.name
        whole = [path.name for path in content.iterdir()] == [folder.name] and inner.is_dir()
        os.rename(inner if whole else content, folder)
    except FileNotFoundError:
        raise UNetError(f"no such archive: {archive}; modelarts_dataset_unzip_name is its name without .zip") from None
    # zipfile raises zlib's error for damaged data, and RuntimeError for an archive with a password.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UNetError(f"{archive}: not a readable zip file: {error}; make it again and copy it again") from None
    except OSError as error:
        raise UNetError(f"{archive}: cannot be unzipped to {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    logger.info("%s unzipped to %s", archive, folder)


def _check_space(file: zipfile.ZipFile, archive: Path, folder: Path) -> None:
    """Raise UNetError if there is no room for the archive. What zipfile writes is never more than the sizes in it."""
    needed, free = sum(entry.file_size for entry in file.infolist()), shutil.disk_usage(folder).free
    if needed > free:
        raise UNetError(f"{archive}: {needed / 1e9:.3g} GB when it is unzipped, and {folder} has {free / 1e9:.3g} GB "
                        f"left")
