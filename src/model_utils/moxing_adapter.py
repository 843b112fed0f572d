"""ModelArts: copies data and checkpoints from its object store before a run, and the output to it afterwards.

The ``moxing`` package, which is part of ModelArts' images, makes the copies in a process of its own: its threads
stay out of this process, and a copy that hangs can be ended.
"""
import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from src.model_utils import local_adapter
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import temporary_path
from src.model_utils.lock import ServerLock

logger = logging.getLogger("unet")

COPY = "import sys, moxing; moxing.file.copy_parallel(sys.argv[1], sys.argv[2])"

# How long the upload waits for the server's other processes, which may hang in a collective operation after a fault.
LEAVE_SECONDS = 60

# ModelArts' launcher sets the same variables as other launchers.
get_device_id = local_adapter.get_device_id
get_device_num = local_adapter.get_device_num
get_rank_id = local_adapter.get_rank_id


def get_job_id() -> str:
    """Return the name of the job (``JOB_ID``), "default" when not set."""
    return os.environ.get("JOB_ID") or "default"


def on_modelarts(main: Callable[[Config], int | None], config: Config) -> int | None:
    """Download data and checkpoints to this server, call ``main(config)``, and upload its output.

    The processes of a server that use the same folders copy once: the first one copies, the others wait for it.
    The output is uploaded however ``main`` ends, after the other processes of the server have ended or
    LEAVE_SECONDS are over.

    Args:
        main (callable): takes the Config, returns an exit status or None.
        config (Config): data_url is copied to data_path, checkpoint_url to load_path, output_path to train_url.

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
    folders = [str(Path(path).resolve()) for path in (config.data_path, config.load_path, config.output_path)]
    name = hashlib.sha256("\0".join([get_job_id(), *folders]).encode()).hexdigest()[:16]
    lock = ServerLock(f"modelarts-{name}", config.modelarts_timeout)
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


def persistent_path(config: Config, path: str) -> str:
    """Return where to write ``path`` so that it outlives the run: on ModelArts inside output_path, else ``path``."""
    return os.path.join(config.output_path, path) if config.enable_modelarts else path


def _check(config: Config) -> None:
    if importlib.util.find_spec("moxing") is None:
        raise UNetError("enable_modelarts is True, but there is no Python package moxing here; it is part of "
                        "ModelArts' images: run there, or set enable_modelarts to False and give data_path")
    if config.need_modelarts_dataset_unzip and not config.modelarts_dataset_unzip_name:
        raise UNetError("need_modelarts_dataset_unzip is True, but modelarts_dataset_unzip_name is empty; give the "
                        "name of the archive in data_url, without .zip")


def _download(config: Config) -> None:
    """Copy data and checkpoints to this server, and unzip an archive."""
    for option, target in (("data_url", config.data_path), ("checkpoint_url", config.load_path)):
        if getattr(config, option):
            try:
                Path(target).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UNetError(f"{option}: cannot make the folder {target}: {error.strerror}") from None
            _copy(getattr(config, option), target, option, config.modelarts_timeout)
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


def _copy(source: str, target: str, option: str, seconds: float) -> None:
    started = time.perf_counter()
    try:
        result = subprocess.run([sys.executable, "-c", COPY, source, target], capture_output=True, text=True,
                                timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise UNetError(f"{option}: copying {source} to {target} did not end in {seconds} s; raise "
                        f"modelarts_timeout if there is that much to copy") from None
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
        UNetError: the archive is missing, damaged or no zip file, or the disk is full.
    """
    if folder.is_dir():
        logger.info("%s is there already; %s is not unzipped again", folder, archive.name)
        return
    temporary = temporary_path(folder)
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(temporary)
        inner = temporary / folder.name
        whole = [path.name for path in temporary.iterdir()] == [folder.name] and inner.is_dir()
        os.rename(inner if whole else temporary, folder)
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
