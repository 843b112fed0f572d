"""A user's cache of the tests' own."""
import json
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

from src.cpu_ops.build import CannotBuild, build_library
from src.inference.backend_choice import Measurement
from src.model_utils.errors import UNetError
from src.model_utils.files import write_atomically
from src.model_utils.trust import cache_folder
from tests.support.scripts import SCRIPT_ENVIRONMENT


def new_cache(folder):
    """Make ``folder`` a cache of nothing but the compiled operators, which take 15 s of a processor; return it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(CannotBuild, UNetError):      # then no program compiles any either
        library = Path(build_library())
        if not (folder / library.name).exists():
            shutil.copy2(library, folder)
    return folder


@contextmanager
def own_cache(folder):
    """Make a folder in ``folder`` the cache in the block, of this process and of those that it starts."""
    new_cache(folder / "unet_mindspore")
    variables = {"XDG_CACHE_HOME": str(folder)}
    with mock.patch.dict(os.environ, variables), mock.patch.dict(SCRIPT_ENVIRONMENT, variables):
        yield


def write_fastest(backend, config):
    """Write the record that a backend is the fastest for a network, as if it had been measured."""
    names = Measurement(config).names
    record = cache_folder("backends") / f"{Measurement(config).key}.json"
    found = {"seconds": {**dict.fromkeys(names, 9), backend: 1}, "size": [512, 512]}
    write_atomically(record, json.dumps(found).encode())
