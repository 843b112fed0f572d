"""ModelArts: data and checkpoints come from its object store before a run, the output goes there after it.

Copies are made by the ``moxing`` package, which ModelArts' images bring along, in a process of their own: its
threads stay out of this one, and a copy that hangs can be ended.
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
from pathlib import Path

from src.model_utils import local_adapter
from src.model_utils.errors import UNetError
from src.model_utils.lock import ServerLock

logger = logging.getLogger("unet")

COPY = "import sys, moxing; moxing.file.copy_parallel(sys.argv[1], sys.argv[2])"

# How long the upload waits for the server's other processes, which after a fault may hang in a collective operation.
LEAVE_SECONDS = 60

# ModelArts' launcher sets what other launchers set.
get_device_id = local_adapter.get_device_id
get_device_num = local_adapter.get_device_num
get_rank_id = local_adapter.get_rank_id


def get_job_id():
    """Name of the job (``JOB_ID``), "default" when not set."""
    return os.environ.get("JOB_ID") or "default"


def on_modelarts(main, config):
    """Call ``main(config)`` with data and checkpoints brought to this server, and bring its output away.

    The processes of a server that use the same folders copy once: the first one copies, the others wait for it.
    The output goes up however ``main`` ends, once those of the server's processes are through that can be waited for.

    Args:
        main (callable): takes the Config, returns an exit status or None.
        config (Config): data_url goes to data_path, checkpoint_url to load_path, output_path to train_url.

    Returns:
        What ``main`` returned.

    Raises:
        UNetError: no moxing package, or a copy that failed, here or in the process that the others waited for.
    """
    _check(config)
    # msrun's scheduler is a process of the same script that ends inside MindSpore, before it needs any file.
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        return main(config)
    # By the places, not by the job: processes that use folders of their own have copies of their own to make.
    places = [str(Path(path).resolve()) for path in (config.data_path, config.load_path, config.output_path)]
    name = hashlib.sha256("\0".join([get_job_id(), *places]).encode()).hexdigest()[:16]
    lock = ServerLock(f"modelarts-{name}", config.modelarts_timeout)
    lock.once(lambda: _bring(config))
    failed = True
    try:
        status = main(_with_unpacked(config))
        failed = bool(status)
    finally:
        problem = lock.leave(lambda: _take_away(config), failed, LEAVE_SECONDS)
        if problem and failed:      # the status says what went wrong first
            logger.error("ERROR: %s", problem)
    if problem and not failed:
        raise UNetError(problem)
    return status


def kept(config, path):
    """Where a script puts ``path`` so that it outlives the run: on ModelArts inside output_path, else where it says."""
    return os.path.join(config.output_path, path) if config.enable_modelarts else path


def _check(config):
    if importlib.util.find_spec("moxing") is None:
        raise UNetError("enable_modelarts is True, but there is no Python package moxing here; it comes with the "
                        "images of ModelArts: run there, or set enable_modelarts to False and give data_path")
    if config.need_modelarts_dataset_unzip and not config.modelarts_dataset_unzip_name:
        raise UNetError("need_modelarts_dataset_unzip is True, but modelarts_dataset_unzip_name is empty; give the "
                        "name of the archive in data_url, without .zip")


def _bring(config):
    """Bring data and checkpoints to this server; an archive is unpacked."""
    for option, target in (("data_url", config.data_path), ("checkpoint_url", config.load_path)):
        if getattr(config, option):
            try:
                Path(target).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UNetError(f"{option}: cannot make the folder {target}: {error.strerror}") from None
            _copy(getattr(config, option), target, option, config.modelarts_timeout)
    if config.need_modelarts_dataset_unzip:
        folder = _unpacked(config)
        unpack(folder.with_name(f"{folder.name}.zip"), folder)


def _take_away(config):
    """Bring the output to train_url."""
    if not config.train_url:
        logger.warning("WARNING: train_url is not set; the results stay in %s", config.output_path)
    elif not Path(config.output_path).is_dir():
        logger.info("nothing to bring to train_url: there is no folder %s", config.output_path)
    else:
        _copy(config.output_path, config.train_url, "train_url", config.modelarts_timeout)


def _copy(source, target, option, seconds):
    started = time.perf_counter()
    try:
        result = subprocess.run([sys.executable, "-c", COPY, source, target], capture_output=True, text=True,
                                timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise UNetError(f"{option}: copying {source} to {target} did not end in {seconds} s; raise "
                        f"modelarts_timeout if it is that large") from None
    if result.returncode:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()] or ["no message"]
        raise UNetError(f"{option}: copying {source} to {target} failed: {lines[-1][:300]}")
    logger.info("%s: %s copied to %s in %.1f s", option, source, target, time.perf_counter() - started)


def _unpacked(config):
    return Path(config.data_path) / config.modelarts_dataset_unzip_name


def _with_unpacked(config):
    if not config.need_modelarts_dataset_unzip:
        return config
    return config.replace(data_path=str(_unpacked(config)))


def unpack(archive, folder):
    """Unpack the zip file ``archive`` to ``folder``, whole or not at all; nothing where ``folder`` is there already.

    An archive that holds everything in one folder of the name of ``folder`` gives that folder.

    Args:
        archive (Path): the zip file; it stays.
        folder (Path): beside it, or elsewhere on the same disk.

    Raises:
        UNetError: no such file, no zip file, a damaged one, or no place on the disk.
    """
    if folder.is_dir():
        logger.info("%s is there already; %s is not unpacked again", folder, archive.name)
        return
    temporary = folder.with_name(f".{folder.name}.unet-{os.getpid()}")
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(temporary)
        inner = temporary / folder.name
        whole = [path.name for path in temporary.iterdir()] == [folder.name] and inner.is_dir()
        os.rename(inner if whole else temporary, folder)
    except FileNotFoundError:
        raise UNetError(f"no such archive: {archive}; modelarts_dataset_unzip_name is its name without .zip") from None
    # zipfile leaves zlib's error and its own RuntimeError (a password) as they are.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UNetError(f"{archive}: not a readable zip file: {error}; make it and copy it again") from None
    except OSError as error:
        raise UNetError(f"{archive}: cannot be unpacked to {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    logger.info("%s unpacked to %s", archive, folder)
