"""Archives of data sets."""
import logging
import os
import shutil
import zipfile
import zlib

from src.model_utils.errors import UNetError

logger = logging.getLogger("unet")


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
