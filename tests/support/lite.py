"""Where MindSpore Lite and the program built on it are, and what they are given."""
import os
import re
from pathlib import Path

from tests.support.data import FIXTURES
from tests.support.scripts import PROJECT

MODELS = FIXTURES / "mindir"
LITE_HOME = Path(os.environ.get("MS_LITE_HOME", PROJECT / ".mindspore_lite"))
PROGRAM = PROJECT / "ascend310_infer" / "build" / "unet_infer"


def write_images(folder, images, names):
    folder.mkdir()
    for name, image in zip(names, images):
        image.tofile(folder / name)
    return folder


def as_release(lite, folder):
    """The wheel's files where a release package has them; a release package as it is."""
    if (lite / "runtime").is_dir():
        return lite
    wheel, runtime = lite.resolve() / "mindspore_lite", folder / "runtime"
    (runtime / "lib").mkdir(parents=True)
    (runtime / "include").symlink_to(wheel / "include")
    for library in (wheel / "lib").iterdir():
        (runtime / "lib" / library.name).symlink_to(library)
    (runtime / "lib" / "libmindspore-lite.so").symlink_to(wheel / "lib" / "libmindspore-extendrt_python.so")
    return folder


def assert_refused(result, folder, status, *parts):
    """One line on standard error, and no result."""
    assert result.returncode == status, result.stdout + result.stderr
    assert re.fullmatch(r"error: [^\n]+\n", result.stderr), result.stderr
    assert all(str(part) in result.stderr for part in parts), result.stderr
    assert not (folder / "out").exists() and not (folder / "time_Result").exists()
