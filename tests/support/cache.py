"""A user's cache of the tests' own."""
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from src.cpu_ops.build import CannotBuild, build_library
from src.inference.backend_choice import Measurement
from src.model_utils.errors import UNetError
from src.model_utils.files import write_atomically
from src.model_utils.trust import cache_folder
from tests.support.scripts import SCRIPT_ENVIRONMENT


@contextmanager
def own_cache(folder):
    """Make ``folder`` the cache in the block, of this process and of those that it starts.

    All that it holds at first are the compiled operators, which take 15 s of a processor.
    """
    try:
        library = Path(build_library())
    except (CannotBuild, UNetError):
        library = None
    variables = {"XDG_CACHE_HOME": str(folder)}
    with mock.patch.dict(os.environ, variables), mock.patch.dict(SCRIPT_ENVIRONMENT, variables):
        if library and not (cache_folder() / library.name).exists():
            shutil.copy2(library, cache_folder())
        yield


def write_fastest(backend, config):
    """Write the record that a backend is the fastest for a network, as if it had been measured."""
    names = Measurement(config).names
    record = cache_folder("backends") / f"{Measurement(config).key}.json"
    write_atomically(record, json.dumps({"seconds": {**dict.fromkeys(names, 9), backend: 1}}).encode())
